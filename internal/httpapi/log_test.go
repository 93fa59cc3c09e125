package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/python-code-executor/pyexec"
	"github.com/python-code-executor/pyexec/internal/httpapi"
)

// TestLog: one line, at a level that no script chooses, without what a user
// wrote.
func TestLog(t *testing.T) {
	const secret = "sEcReT"
	tests := []struct {
		name   string
		res    pyexec.Result
		err    error
		level  string
		result string
	}{
		{"ok", pyexec.Result{Value: json.RawMessage(`"` + secret + `"`), Stdout: secret}, nil, "INFO", "ok"},
		{"exception", pyexec.Result{Failure: &pyexec.Failure{Type: pyexec.Exception, Message: secret}}, nil, "INFO", "exception"},
		{"overloaded", pyexec.Result{}, &pyexec.Error{Code: pyexec.CodeOverloaded}, "INFO", "overloaded"},
		{"lost", pyexec.Result{Stdout: secret}, &pyexec.Error{Code: pyexec.CodeUnavailable, Started: true}, "WARN", "unavailable"},
		{"bug", pyexec.Result{}, context.DeadlineExceeded, "ERROR", "internal"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			f := &fake{set: func(context.Context, pyexec.Request) (pyexec.Result, error) { return tt.res, tt.err }}
			h := httpapi.New(httpapi.Options{Executor: f, Logger: slog.New(slog.NewJSONHandler(&out, nil))})
			r := httptest.NewRequest("POST", "/execute", strings.NewReader(`{"script":"`+secret+`","input":"`+secret+`"}`))
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set("X-Request-Id", "my-id_1.0")
			r.Header.Set("Traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if got := w.Header().Get("X-Request-Id"); got != "my-id_1.0" {
				t.Errorf("X-Request-Id: %q", got)
			}
			if n := strings.Count(out.String(), "\n"); n != 1 || strings.Contains(out.String(), secret) {
				t.Fatalf("logged %d lines: %s", n, out.String())
			}
			var line map[string]any
			if err := json.Unmarshal(out.Bytes(), &line); err != nil {
				t.Fatal(err)
			}
			for k, want := range map[string]any{
				"level": tt.level, "outcome": tt.result, "route": "execute", "id": "my-id_1.0",
				"status": float64(w.Code), "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "caller": "192.0.2.1",
				"script_bytes": float64(len(secret)), "stdout_bytes": float64(len(tt.res.Stdout)), "result_bytes": float64(len(tt.res.Value)),
			} {
				if line[k] != want {
					t.Errorf("logged %s=%v, want %v", k, line[k], want)
				}
			}
		})
	}
}

func TestMalformedTraceparentIsIgnored(t *testing.T) {
	for _, value := range []string{
		"00-00000000000000000000000000000000-00f067aa0ba902b7-01",
		"00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
		"ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
		"00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
		"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
		"evil",
	} {
		var out bytes.Buffer
		h := httpapi.New(httpapi.Options{Executor: &fake{}, Logger: slog.New(slog.NewJSONHandler(&out, nil))})
		r := httptest.NewRequest("GET", "/nothing", nil)
		r.Header.Set("Traceparent", value)
		h.ServeHTTP(httptest.NewRecorder(), r)
		if strings.Contains(out.String(), "trace_id") {
			t.Errorf("%s is logged: %s", value, out.String())
		}
	}
}
