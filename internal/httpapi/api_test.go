package httpapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/python-code-executor/pyexec"
	"github.com/python-code-executor/pyexec/internal/httpapi"
)

// post sends body to an API whose executor answers with res and err.
func post(t *testing.T, body string, res pyexec.Result, err error) *httptest.ResponseRecorder {
	t.Helper()
	f := &fake{set: func(context.Context, pyexec.Request) (pyexec.Result, error) { return res, err }}
	return do(httpapi.New(httpapi.Options{Executor: f}), body)
}

func do(h http.Handler, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("POST", "/execute", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

const plain = `{"script":"def main(): return 1"}`

func wantBody(t *testing.T, w *httptest.ResponseRecorder, status int, body string) {
	t.Helper()
	if w.Code != status || w.Body.String() != body {
		t.Errorf("answered %d\n%s\nwant %d\n%s", w.Code, w.Body, status, body)
	}
}

func TestSuccessHasResultAndStdoutOnly(t *testing.T) {
	w := post(t, plain, pyexec.Result{
		Value:  json.RawMessage(`{"a":[1,2.50,12345678901234567890]}`),
		Stdout: "<b>&\u2028\xff\n",
		Stderr: "not asked for",
		Timing: pyexec.Timing{Queue: time.Millisecond, Spawn: 2 * time.Millisecond, Run: 1500 * time.Microsecond},
		Isolation: pyexec.Isolation{
			Level: "full",
		},
	}, nil)
	wantBody(t, w, 200, `{"result":{"a":[1,2.50,12345678901234567890]},"stdout":"<b>&`+"\u2028\ufffd"+`\n"}`)
	want := map[string]string{
		"Content-Type":           "application/json",
		"Content-Length":         strconv.Itoa(w.Body.Len()),
		"Cache-Control":          "no-store",
		"X-Content-Type-Options": "nosniff",
		"Server-Timing":          "queue;dur=1.0, spawn;dur=2.0, run;dur=1.5",
		"X-Isolation":            "full",
	}
	for k, v := range want {
		if got := w.Header().Get(k); got != v {
			t.Errorf("%s: %q, want %q", k, got, v)
		}
	}
}

func TestDetails(t *testing.T) {
	res := pyexec.Result{
		Value: json.RawMessage(`1`), Stderr: "warned",
		Truncated: pyexec.Truncated{Stdout: 7},
		Files:     []pyexec.File{{Path: "a.txt", Content: []byte("hi")}},
		Usage:     pyexec.Usage{Wall: 3 * time.Millisecond, CPU: 2 * time.Millisecond, Memory: 4096},
		Timing:    pyexec.Timing{Queue: time.Millisecond},
		Isolation: pyexec.Isolation{Level: "full", Layers: []pyexec.Layer{{Name: "seccomp", Active: true, Detail: "58 rules"}, {Name: "landlock"}}},
	}
	const details = `,"stderr":"warned","usage":{"wall_ms":3,"cpu_ms":2,"memory_bytes":4096,"queue_ms":1},"truncated":{"stdout":7},` +
		`"files":[{"path":"a.txt","content_base64":"aGk=","size":2,"media_type":"text/plain"}],` +
		`"isolation":{"level":"full","layers":{"landlock":{"active":false},"seccomp":{"active":true,"detail":"58 rules"}}}}`
	body := `{"script":"def main(): return 1","details":true}`

	w := post(t, body, res, nil)
	wantBody(t, w, 200, `{"result":1,"stdout":"","id":"`+w.Header().Get("X-Request-Id")+`"`+details)

	res.Failure, res.Value = &pyexec.Failure{Type: pyexec.Timeout, Message: "too slow", LimitMS: 10}, nil
	w = post(t, body, res, nil)
	wantBody(t, w, 400, `{"error":{"type":"timeout","message":"too slow","limit_ms":10},"stdout":"","id":"`+w.Header().Get("X-Request-Id")+`"`+details)
}

func TestFailureOfTheScriptIs400(t *testing.T) {
	status := 0
	res := pyexec.Result{Stdout: "before", Failure: &pyexec.Failure{
		Type: pyexec.Exited, Message: "it ended", ExitStatus: &status,
	}}
	wantBody(t, post(t, plain, res, nil), 400, `{"error":{"type":"exited","message":"it ended","exit_status":0},"stdout":"before"}`)
}

func TestErrorsOfTheService(t *testing.T) {
	tests := []struct {
		name   string
		err    *pyexec.Error
		status int
		body   string // of "error", RequestID aside
		retry  string
	}{
		{
			"overloaded", &pyexec.Error{Code: pyexec.CodeOverloaded, Message: "busy", RetryAfter: 1200 * time.Millisecond}, 503,
			`{"type":"overloaded","message":"busy","started":false}`, "2",
		},
		{
			"draining", &pyexec.Error{Code: pyexec.CodeDraining, Message: "bye"}, 503,
			`{"type":"draining","message":"bye","started":false}`, "1",
		},
		{
			"unavailable", &pyexec.Error{Code: pyexec.CodeUnavailable, Message: "no sandbox", RetryAfter: time.Second}, 503,
			`{"type":"unavailable","message":"no sandbox","started":false}`, "1",
		},
		{
			"lost", &pyexec.Error{Code: pyexec.CodeUnavailable, Message: "lost", Started: true, RetryAfter: time.Second}, 503,
			`{"type":"unavailable","message":"lost","started":true}`, "",
		},
		{
			"rate", &pyexec.Error{Code: pyexec.CodeRateLimited, Message: "slow down", RetryAfter: time.Minute}, 429,
			`{"type":"rate_limited","message":"slow down"}`, "60",
		},
		{
			"form", &pyexec.Error{Code: pyexec.CodeInvalidRequest, Message: "no", Field: "env.A", Err: errors.New("secret")}, 400,
			`{"type":"invalid_request","message":"no","field":"env.A"}`, "",
		},
		{
			"large", &pyexec.Error{Code: pyexec.CodeTooLarge, Message: "no", Limit: 5}, 413,
			`{"type":"too_large","message":"no","limit_bytes":5}`, "",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := post(t, plain, pyexec.Result{Stdout: "said"}, tt.err)
			wantBody(t, w, tt.status, `{"error":`+tt.body+`,"stdout":"said"}`)
			if got := w.Header().Get("Retry-After"); got != tt.retry {
				t.Errorf("Retry-After %q, want %q", got, tt.retry)
			}
		})
	}
}

func TestInternalErrorsShowNothing(t *testing.T) {
	for name, set := range map[string]func(context.Context, pyexec.Request) (pyexec.Result, error){
		"plain error": func(context.Context, pyexec.Request) (pyexec.Result, error) {
			return pyexec.Result{}, errors.New("/secret/path")
		},
		"internal": func(context.Context, pyexec.Request) (pyexec.Result, error) {
			return pyexec.Result{}, &pyexec.Error{Code: pyexec.CodeInternal, Message: "/secret/path"}
		},
		"panic":    func(context.Context, pyexec.Request) (pyexec.Result, error) { panic("/secret/path") },
		"no value": func(context.Context, pyexec.Request) (pyexec.Result, error) { return pyexec.Result{}, nil },
		"canceled with the client still there": func(context.Context, pyexec.Request) (pyexec.Result, error) {
			return pyexec.Result{}, &pyexec.Error{Code: pyexec.CodeCanceled}
		},
		"unknown code": func(context.Context, pyexec.Request) (pyexec.Result, error) {
			return pyexec.Result{}, &pyexec.Error{Code: "new"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := do(httpapi.New(httpapi.Options{Executor: &fake{set: set}}), plain)
			id := w.Header().Get("X-Request-Id")
			wantBody(t, w, 500, `{"error":{"type":"internal","message":"internal error","request_id":"`+id+`"},"stdout":""}`)
		})
	}
}

// TestEveryCodeHasAStatus reads the codes from the source, so that a new one
// cannot be forgotten.
func TestEveryCodeHasAStatus(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "../../error.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	codes := 0
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 || !strings.HasPrefix(spec.Names[0].Name, "Code") {
			return true
		}
		code, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		codes++
		if code == string(pyexec.CodeCanceled) {
			return true // nothing is written: badrequests has it
		}
		w := post(t, plain, pyexec.Result{}, &pyexec.Error{Code: pyexec.Code(code), Message: "m"})
		if !strings.Contains(w.Body.String(), `"type":"`+code+`"`) {
			t.Errorf("code %s is answered %d %s", code, w.Code, w.Body)
		}
		return true
	})
	if codes < 13 {
		t.Errorf("found %d codes only", codes)
	}
}

func TestHealth(t *testing.T) {
	iso := pyexec.Isolation{Level: "full", Layers: []pyexec.Layer{{Name: "seccomp", Active: true, Detail: "on"}}}
	health := httpapi.Health{Python: "3.11.2", Packages: map[string]string{"numpy": "1.24.2"}, Isolation: iso}
	ready := error(nil)
	h := httpapi.New(httpapi.Options{
		Executor: &fake{}, Version: "1.2",
		Health: func(context.Context) httpapi.Health { return health },
		Ready:  func() error { return ready },
	})
	get := func(path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		return w
	}
	const shown = `"version":"1.2","python":"3.11.2","packages":{"numpy":"1.24.2"},"isolation":{"level":"full","layers":{"seccomp":{"active":true,"detail":"on"}}}}`
	wantBody(t, get("/health"), 200, `{"status":"ok",`+shown)
	health.Reason = "the last run failed"
	wantBody(t, get("/health"), 503, `{"status":"unavailable","reason":"the last run failed",`+shown)
	wantBody(t, get("/livez"), 200, `{"status":"ok"}`)
	wantBody(t, get("/readyz"), 200, `{"status":"ok"}`)
	ready = &pyexec.Error{Code: pyexec.CodeDraining, Message: "shutting down"}
	wantBody(t, get("/readyz"), 503, `{"status":"unavailable","reason":"shutting down"}`)
	ready = errors.New("/secret/path")
	wantBody(t, get("/readyz"), 503, `{"status":"unavailable","reason":"not ready"}`)
}

func TestWhatTheExecutorGets(t *testing.T) {
	f := &fake{}
	do(httpapi.New(httpapi.Options{Executor: f}), `{"script":"s","input":{"a": 1e2},"stdin":"i","env":{"A":"b"},
		"files":[{"path":"d/a","content":"x"},{"path":"b","content_base64":"AP8="}],"timeout_ms":5,"memory_mb":64,"details":true}`)
	got := *f.got.Load()
	if got.ID == "" {
		t.Error("no request id")
	}
	want := pyexec.Request{
		ID: got.ID, Caller: "192.0.2.1", Script: "s", Input: json.RawMessage(`{"a": 1e2}`), Stdin: "i",
		Files:   []pyexec.File{{Path: "d/a", Content: []byte("x")}, {Path: "b", Content: []byte{0, 255}}},
		Env:     map[string]string{"A": "b"},
		Timeout: 5 * time.Millisecond, Memory: 64 * pyexec.MiB, Details: true,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}
