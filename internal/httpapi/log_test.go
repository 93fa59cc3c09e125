package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/python-code-executor/pyexec"
	"github.com/python-code-executor/pyexec/internal/auth"
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

// TestLogOfARefusal: why somebody may not call is in the log, and nothing of
// what he sent to show who he is.
func TestLogOfARefusal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.yaml")
	key, secret := auth.NewKey(time.Now().Add(-time.Hour))
	key.Expires = time.Now().Add(-time.Minute)
	if err := auth.AddKey(path, "team-a", key); err != nil {
		t.Fatal(err)
	}
	callers, err := auth.New(t.Context(), auth.Options{KeysFile: path})
	if err != nil {
		t.Fatal(err)
	}
	lacks := &door{unknown: &pyexec.Error{Code: pyexec.CodeForbidden, Message: "the token lacks the scope x"}}
	for _, tt := range []struct {
		callers       httpapi.Callers
		authorization string
		status        int
		want          string
	}{
		{callers, "", 401, "this server needs a key"},
		{callers, "Bearer " + secret.Reveal(), 401, "the key of team-a has expired"},
		{callers, "Bearer " + secret.Reveal() + "x", 401, "the secret is not"},
		{callers, "Bearer pyx_sEcReT_sEcReT", 401, "no key has this id"},
		{callers, "Bearer sEcReT.sEcReT.sEcReT", 401, "the key is not valid"},
		{callers, "Basic sEcReT", 401, "not of the scheme Bearer"},
		{lacks, "Bearer sEcReT", 403, "the token lacks the scope x"},
	} {
		var out bytes.Buffer
		h := httpapi.New(httpapi.Options{Executor: &fake{}, Callers: tt.callers, Logger: slog.New(slog.NewJSONHandler(&out, nil))})
		r := httptest.NewRequest("POST", "/execute", strings.NewReader(plain))
		r.Header.Set("Content-Type", "application/json")
		if tt.authorization != "" {
			r.Header.Set("Authorization", tt.authorization)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		var line map[string]any
		if err := json.Unmarshal(out.Bytes(), &line); err != nil {
			t.Fatalf("%s: %v", out.String(), err)
		}
		if why, _ := line["error"].(string); w.Code != tt.status || line["level"] != "INFO" || !strings.Contains(why, tt.want) {
			t.Errorf("%d, logged %s, want %q", w.Code, out.String(), tt.want)
		}
		for part := range strings.FieldsFuncSeq(secret.Reveal()+"_sEcReT", func(c rune) bool { return c == '_' }) {
			if part != "pyx" && strings.Contains(out.String(), part) {
				t.Errorf("logged %q of a key: %s", part, out.String())
			}
		}
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
