package openapi_test

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/python-code-executor/pyexec"
	"github.com/python-code-executor/pyexec/internal/openapi"
)

// TestDocument: the settings are in it.
func TestDocument(t *testing.T) {
	limits := pyexec.DefaultLimits()
	limits.Timeout, limits.Memory = 33*time.Second, 99*pyexec.MiB
	var doc struct {
		OpenAPI    string
		Info       struct{ Version string }
		Components struct {
			Schemas struct {
				ExecuteRequest struct {
					Properties struct {
						Timeout struct{ Maximum int64 }          `json:"timeout_ms"`
						Memory  struct{ Minimum, Maximum int64 } `json:"memory_mb"`
					}
				}
			}
		}
	}
	if err := json.Unmarshal(openapi.Document("v7", limits), &doc); err != nil {
		t.Fatal(err)
	}
	p := doc.Components.Schemas.ExecuteRequest.Properties
	if doc.OpenAPI != "3.1.0" || doc.Info.Version != "v7" || p.Timeout.Maximum != 33000 || p.Memory.Minimum != 64 || p.Memory.Maximum != 99 {
		t.Errorf("%+v", doc)
	}
}

// TestPage: it has every operation, schema and example, no link leads nowhere,
// and nothing in it is loaded or run.
func TestPage(t *testing.T) {
	limits := pyexec.DefaultLimits()
	page := string(openapi.Page("v<7>", limits))
	var doc struct {
		Paths      map[string]map[string]struct{ OperationID string }
		Components struct{ Schemas map[string]any }
	}
	if err := json.Unmarshal(openapi.Document("v7", limits), &doc); err != nil {
		t.Fatal(err)
	}
	for path, operations := range doc.Paths {
		for method, operation := range operations {
			for _, want := range []string{strings.ToUpper(method) + " " + path, `<section id="` + operation.OperationID + `">`} {
				if !strings.Contains(page, want) {
					t.Errorf("no %s", want)
				}
			}
		}
	}
	for name := range doc.Components.Schemas {
		if !strings.Contains(page, `<section id="schema-`+name+`">`) {
			t.Errorf("no schema %s", name)
		}
	}
	ids := regexp.MustCompile(` id="([^"]+)"`).FindAllStringSubmatch(page, -1)
	for _, link := range regexp.MustCompile(`href="#([^"]+)"`).FindAllStringSubmatch(page, -1) {
		if !slices.ContainsFunc(ids, func(id []string) bool { return id[1] == link[1] }) {
			t.Errorf("a link to #%s leads nowhere", link[1])
		}
	}
	for _, want := range []string{"v&lt;7&gt;", "Hello World", "policy_violation", "Retry-After", "timeout_ms", "10000"} {
		if !strings.Contains(page, want) {
			t.Errorf("no %s", want)
		}
	}
	for _, not := range []string{"<script", "http://", "https://", "<img", "<link", "style=", " on", "ZgotmplZ", "<no value>", "%!"} {
		if not == " on" {
			if regexp.MustCompile(`<[^>]* on[a-z]+=`).MatchString(page) {
				t.Error("an event handler")
			}
			continue
		}
		if strings.Contains(page, not) {
			t.Errorf("it has %s", not)
		}
	}
	if style := page[strings.Index(page, "<style>")+7 : strings.Index(page, "</style>")]; !strings.Contains(style, "color-scheme") || bytes.Count([]byte(page), []byte("<style>")) != 1 {
		t.Errorf("the style is %s", style)
	}
}
