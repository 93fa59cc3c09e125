package contract

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/python-code-executor/pyexec"
	"github.com/python-code-executor/pyexec/internal/openapi"
)

// TestEvents: a stream is read through, and fails at the event that the
// document does not have.
func TestEvents(t *testing.T) {
	document := openapi.Document("v1", pyexec.DefaultLimits())
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write(document) }))
	defer srv.Close()
	for text, good := range map[string]bool{
		"event: stdout\ndata: {\"text\":\"x\"}\n\n: waiting\n\nevent: result\ndata: {\"result\":1,\"stdout\":\"x\"}\n\n":                                     true,
		"event: error\ndata: {\"status\":400,\"error\":{\"type\":\"timeout\",\"message\":\"m\",\"limit_ms\":1},\"stdout\":\"\"}\n\n":                         true,
		"event: error\ndata: {\"status\":503,\"retry_after\":1,\"error\":{\"type\":\"overloaded\",\"message\":\"m\",\"started\":false},\"stdout\":\"\"}\n\n": true,
		"event: error\ndata: {\"status\":400,\"error\":{\"type\":\"overloaded\",\"message\":\"m\",\"started\":false},\"stdout\":\"\"}\n\n":                   false,
		"event: error\ndata: {\"status\":418,\"error\":{\"type\":\"timeout\",\"message\":\"m\"},\"stdout\":\"\"}\n\n":                                        false,
		"event: stdin\ndata: {\"text\":\"x\"}\n\n":            false,
		"event: stdout\ndata: {\"text\":1}\n\n":               false,
		"event: stdout\ndata: {\"text\":\"x\",\"n\":1}\n\n":   false,
		"event: stdout\ndata: {\n\n":                          false,
		"event: result\ndata: {\"result\":1}\n\n":             false,
		"event: stdout\nretry: 1\ndata: {\"text\":\"x\"}\n\n": false,
	} {
		e := newEvents(io.NopCloser(strings.NewReader(text)), srv.URL, Exchange{Method: "POST", Path: "/execute", Status: 200})
		got, err := io.ReadAll(e)
		if (err == nil) != good || good && string(got) != text {
			t.Errorf("%s: %q, %v", text, got, err)
		}
	}
}
