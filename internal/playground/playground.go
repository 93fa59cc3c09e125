// Package playground is the page at /: an editor that posts to /execute. It is
// built from web/ and embedded; a browser that shows it asks no other host.
//
// It knows nothing of the project: what it serves is static, but for a nonce.
package playground

import (
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"sync"
)

//go:embed dist
var dist embed.FS

// Page makes the answer to a GET of one path.
type Page = func(*http.Request) (http.Header, []byte)

// Pages are the paths of the playground. With keys, the page says that a run
// needs one.
func Pages(keys bool) map[string]Page {
	pages := map[string]Page{}
	all := sha256.New()
	for _, file := range []struct{ name, kind string }{
		{"app.js", "text/javascript; charset=utf-8"}, {"style.css", "text/css; charset=utf-8"}, {"icon.svg", "image/svg+xml"},
	} {
		content := read(file.name)
		all.Write(content)
		pages["/playground/"+file.name] = asset(file.kind, content)
	}
	required := ""
	if keys {
		required = "required"
	}
	html := strings.NewReplacer(
		"{{version}}", hex.EncodeToString(all.Sum(nil))[:16],
		"{{keys}}", required,
	).Replace(string(read("index.html")))
	pages["/"] = func(*http.Request) (http.Header, []byte) { return index(html) }
	return pages
}

func read(name string) []byte {
	content, err := dist.ReadFile("dist/" + name)
	if err != nil {
		panic(fmt.Errorf("bug: %w", err)) // the build would have failed
	}
	return content
}

// index is the page itself. Its policy lets it load and call what this server
// has, and nothing else; the nonce is for the style elements that the editor
// makes, and new each time, since one that is known allows whatever was
// injected.
func index(html string) (http.Header, []byte) {
	nonce := rand.Text()
	h := http.Header{}
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-"+nonce+"'; "+
		"img-src 'self' blob: data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "+
		"require-trusted-types-for 'script'; trusted-types 'none'")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
	return h, []byte(strings.ReplaceAll(html, "{{nonce}}", nonce))
}

// asset is a file that a browser keeps for as long as it likes: the page asks
// for it with the version of its content.
func asset(kind string, content []byte) Page {
	packed := sync.OnceValue(func() []byte { return pack(content) })
	return func(r *http.Request) (http.Header, []byte) {
		h := http.Header{}
		h.Set("Content-Type", kind)
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Vary", "Accept-Encoding")
		if r.URL.Query().Has("v") {
			h.Set("Cache-Control", "public, max-age=31536000, immutable")
		}
		if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			h.Set("Content-Encoding", "gzip")
			return h, packed()
		}
		return h, content
	}
}

func pack(content []byte) []byte {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err == nil {
		if _, err = w.Write(content); err == nil {
			err = w.Close()
		}
	}
	if err != nil {
		panic(fmt.Errorf("bug: gzip to memory: %w", err))
	}
	return b.Bytes()
}
