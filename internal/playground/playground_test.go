package playground_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/python-code-executor/pyexec/internal/playground"
)

func get(t *testing.T, pages map[string]playground.Page, path string, header ...string) (http.Header, []byte) {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	page := pages[r.URL.Path]
	if page == nil {
		t.Fatalf("there is no %s", path)
	}
	return page(r)
}

func TestThePolicyLetsNothingInline(t *testing.T) {
	pages := playground.Pages(false)
	h, body := get(t, pages, "/")
	policy := h.Get("Content-Security-Policy")
	for _, want := range []string{
		"default-src 'none'", "script-src 'self';", "connect-src 'self';", "base-uri 'none'", "form-action 'none'",
		"frame-ancestors 'none'", "require-trusted-types-for 'script'",
	} {
		if !strings.Contains(policy, want) {
			t.Errorf("the policy lacks %s: %s", want, policy)
		}
	}
	if strings.Contains(policy, "unsafe") || strings.Contains(policy, "*") || strings.Contains(policy, "http") {
		t.Errorf("the policy is %s", policy)
	}
	if inline := regexp.MustCompile(`(?i)<script[^>]*>[^<]|<style|\son\w+=|\sstyle=|javascript:|https?:`).Find(body); inline != nil {
		t.Errorf("the page has %q", inline)
	}
	nonce := regexp.MustCompile(`'nonce-(\w{26})'`).FindStringSubmatch(policy)
	if nonce == nil || !bytes.Contains(body, []byte(`nonce="`+nonce[1]+`"`)) {
		t.Fatalf("no nonce in %s, or not that of the page", policy)
	}
	if again, _ := get(t, pages, "/"); strings.Contains(again.Get("Content-Security-Policy"), nonce[1]) {
		t.Error("the nonce is the same each time")
	}
	if bytes.Contains(body, []byte("{{")) {
		t.Error("a place of the page was not filled")
	}
}

func TestAssets(t *testing.T) {
	pages := playground.Pages(false)
	_, html := get(t, pages, "/")
	found := regexp.MustCompile(`(?:src|href)="(/[^"]+)"`).FindAllSubmatch(html, -1)
	if len(found) < 4 {
		t.Fatalf("the page names %d assets", len(found))
	}
	total := len(html)
	for _, m := range found {
		h, content := get(t, pages, string(m[1]))
		if !strings.Contains(h.Get("Cache-Control"), "immutable") || h.Get("Content-Type") == "" || h.Get("Content-Encoding") != "" {
			t.Errorf("%s has %v", m[1], h)
		}
		h, packed := get(t, pages, string(m[1]), "Accept-Encoding", "br, gzip")
		r, err := gzip.NewReader(bytes.NewReader(packed))
		if err != nil || h.Get("Content-Encoding") != "gzip" {
			t.Fatalf("%s: %v %v", m[1], h, err)
		}
		unpacked, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(unpacked, content) {
			t.Errorf("%s is another when it is compressed: %v", m[1], err)
		}
		total += len(packed)
	}
	if total > 300_000 {
		t.Errorf("the first load takes %d bytes, of 300 000", total)
	}
	if h, _ := get(t, pages, "/playground/app.js"); h.Get("Cache-Control") != "" {
		t.Error("an asset without its version is kept for ever")
	}
}

func TestItSaysWhereAKeyIsNeeded(t *testing.T) {
	for keys, want := range map[bool]string{true: `data-keys="required"`, false: `data-keys=""`} {
		if _, body := get(t, playground.Pages(keys), "/"); !bytes.Contains(body, []byte(want)) {
			t.Errorf("with keys %v there is no %s", keys, want)
		}
	}
}
