package openapi

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"html/template"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/python-code-executor/pyexec"
)

//go:embed page.html
var pageSource string

//go:embed page.css
var pageStyle string

// Page is the document for people: one page of HTML without scripts that
// loads nothing. PagePolicy goes with it.
func Page(version string, limits pyexec.Limits) []byte {
	root := load(version, limits)
	page := template.Must(template.New("page").Funcs(template.FuncMap{
		"text": text, "members": members, "find": find, "json": indented, "schema": schemaOf, "ref": refName,
		"resolve": func(n *yaml.Node) *yaml.Node { return resolve(root, n) },
		"value":   func(n *yaml.Node) string { return n.Value },
		"type":    typeOf, "required": required, "upper": strings.ToUpper,
		"style": func() template.CSS { return template.CSS(pageStyle) }, //nolint:gosec // ours, embedded
	}).Parse(pageSource))
	var b bytes.Buffer
	if err := page.Execute(&b, root); err != nil {
		panic(fmt.Errorf("bug: page.html: %w", err))
	}
	return b.Bytes()
}

// PagePolicy is the Content-Security-Policy of the page: its one style sheet
// and nothing else.
var PagePolicy = func() string {
	hash := sha256.Sum256([]byte(pageStyle))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(hash[:]) +
		"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}()

var code = regexp.MustCompile("`([^`]+)`")

// text is a description: paragraphs, and code between backticks.
func text(n *yaml.Node) template.HTML {
	if n == nil {
		return ""
	}
	var b strings.Builder
	for part := range strings.SplitSeq(strings.TrimSpace(n.Value), "\n\n") {
		b.WriteString("<p>" + code.ReplaceAllString(html.EscapeString(part), "<code>$1</code>") + "</p>")
	}
	return template.HTML(b.String()) //nolint:gosec // escaped above
}

// resolve follows a reference within the document.
func resolve(root, n *yaml.Node) *yaml.Node {
	ref := find(n, "$ref")
	if ref == nil {
		return target(n)
	}
	return at(root, strings.Split(strings.TrimPrefix(ref.Value, "#/"), "/")...)
}

// refName is the name of the schema that n refers to; "" where it is one
// itself.
func refName(n *yaml.Node) string {
	if ref := find(n, "$ref"); ref != nil {
		return ref.Value[strings.LastIndex(ref.Value, "/")+1:]
	}
	return ""
}

// schemaOf is the schema of a body of JSON.
func schemaOf(content *yaml.Node) *yaml.Node {
	if media := find(content, "application/json"); media != nil {
		return find(media, "schema")
	}
	return nil
}

// indented is a value as people read JSON.
func indented(n *yaml.Node) string {
	var b, out bytes.Buffer
	write(&b, n)
	if err := json.Indent(&out, b.Bytes(), "", "  "); err != nil {
		panic(fmt.Errorf("bug: openapi.yaml: %w", err))
	}
	return out.String()
}

// typeOf says what a schema takes, in a few words.
func typeOf(n *yaml.Node) string {
	if name := refName(n); name != "" {
		return name
	}
	words := []string{}
	if kind := find(n, "type"); kind != nil {
		words = append(words, kind.Value)
	}
	if items := find(n, "items"); items != nil {
		words = append(words, "of", typeOf(items))
	}
	if values := find(n, "enum"); values != nil {
		for _, v := range values.Content {
			words = append(words, v.Value)
		}
	}
	if v := find(n, "const"); v != nil {
		words = append(words, fmt.Sprintf("%q", v.Value))
	}
	for _, bound := range []struct{ key, word string }{{"minimum", "from"}, {"maximum", "to"}, {"maxItems", "at most"}} {
		if v := find(n, bound.key); v != nil {
			words = append(words, bound.word, v.Value)
		}
	}
	if len(words) == 0 {
		return "any JSON"
	}
	return strings.Join(words, " ")
}

// required tells whether a schema of an object wants the member.
func required(schema *yaml.Node, name string) bool {
	if list := find(schema, "required"); list != nil {
		for _, v := range list.Content {
			if v.Value == name {
				return true
			}
		}
	}
	return false
}
