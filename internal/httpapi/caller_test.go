package httpapi_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/python-code-executor/pyexec"
	"github.com/python-code-executor/pyexec/internal/httpapi"
)

// door is a Callers and a Quota.
type door struct {
	caller          pyexec.Caller
	unknown, refuse error
	inside          atomic.Int32
}

func (d *door) Authenticate(*http.Request, http.Header) (pyexec.Caller, error) {
	return d.caller, d.unknown
}

func (d *door) Take(_ context.Context, _ pyexec.Caller, h http.Header) (func(), error) {
	h.Set("RateLimit", `"rate";r=1;t=1`)
	if d.refuse != nil {
		return nil, d.refuse
	}
	d.inside.Add(1)
	return func() { d.inside.Add(-1) }, nil
}

// unread fails the test when a byte of it is read.
type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("the body was read")
	return 0, http.ErrBodyReadAfterClose
}

// TestRefusedBeforeTheBody: who may not call costs no reading and no parsing.
func TestRefusedBeforeTheBody(t *testing.T) {
	unauthenticated := &pyexec.Error{Code: pyexec.CodeUnauthenticated, Message: "no key"}
	limited := &pyexec.Error{Code: pyexec.CodeRateLimited, Message: "slow", RetryAfter: 1500 * time.Millisecond}
	for _, tt := range []struct {
		door   *door
		status int
		retry  string
		limit  string
	}{
		{&door{unknown: unauthenticated}, 401, "", ""},
		{&door{unknown: &pyexec.Error{Code: pyexec.CodeForbidden, Message: "no scope"}}, 403, "", ""},
		{&door{refuse: limited}, 429, "2", `"rate";r=1;t=1`},
	} {
		f := &fake{}
		r := httptest.NewRequest(http.MethodPost, "/execute", nil)
		r.Header.Set("Content-Type", "text/plain") // wrong as well, and not what is said first
		r.Header.Set("Expect", "100-continue")     // else the rest is read after the answer
		r.Body, r.ContentLength = io.NopCloser(unread{t}), 10
		w := httptest.NewRecorder()
		httpapi.New(httpapi.Options{Executor: f, Callers: tt.door, Quota: tt.door}).ServeHTTP(w, r)
		if w.Code != tt.status || w.Header().Get("Retry-After") != tt.retry || w.Header().Get("RateLimit") != tt.limit {
			t.Errorf("%d %v, want %d with Retry-After %q", w.Code, w.Header(), tt.status, tt.retry)
		}
		if f.got.Load() != nil {
			t.Error("it was run")
		}
	}
}

// TestACallersLimits: they lower what a request has and may ask for.
func TestACallersLimits(t *testing.T) {
	f, d := &fake{}, &door{caller: pyexec.Caller{Name: "team-a", Timeout: 2 * time.Second, Memory: 100 * pyexec.MiB, Policy: "strict", Isolation: "full"}}
	h := httpapi.New(httpapi.Options{Executor: f, Callers: d, Quota: d})
	do(h, plain)
	got := f.got.Load()
	if got.Caller != "team-a" || got.Timeout != 2*time.Second || got.Memory != 100*pyexec.MiB || got.Policy != "strict" || got.Isolation != "full" {
		t.Errorf("the executor gets %+v", got)
	}
	if w := do(h, `{"script":"s","timeout_ms":2001}`); w.Code != 400 || !strings.Contains(w.Body.String(), "limit of 2000 milliseconds") {
		t.Errorf("a limit above the caller's: %d %s", w.Code, w.Body)
	}
	if n := d.inside.Load(); n != 0 {
		t.Errorf("%d requests have not left", n)
	}
	do(h, `{"script":"s","policy":"off"}`)
	if got := f.got.Load(); got.Policy == "off" {
		t.Error("a client chose its policy")
	}
}

// TestEveryoneLeaves: whatever becomes of a request, its place is free again.
func TestEveryoneLeaves(t *testing.T) {
	d := &door{caller: pyexec.Caller{Name: "a"}}
	for name, set := range map[string]func(context.Context, pyexec.Request) (pyexec.Result, error){
		"panic": func(context.Context, pyexec.Request) (pyexec.Result, error) { panic("x") },
		"canceled": func(context.Context, pyexec.Request) (pyexec.Result, error) {
			return pyexec.Result{}, &pyexec.Error{Code: pyexec.CodeCanceled}
		},
		"lost": func(context.Context, pyexec.Request) (pyexec.Result, error) {
			return pyexec.Result{}, &pyexec.Error{Code: pyexec.CodeUnavailable, Started: true}
		},
	} {
		do(httpapi.New(httpapi.Options{Executor: &fake{set: set}, Callers: d, Quota: d}), plain)
		if n := d.inside.Load(); n != 0 {
			t.Errorf("%s: %d requests have not left", name, n)
		}
	}
}

// TestProbesNeedNoKey: what watches the server has none.
func TestProbesNeedNoKey(t *testing.T) {
	d := &door{unknown: &pyexec.Error{Code: pyexec.CodeUnauthenticated}}
	h := httpapi.New(httpapi.Options{Executor: &fake{}, Callers: d, Quota: d})
	for _, path := range []string{"/health", "/livez", "/readyz"} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if w.Code != http.StatusOK {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}
