package httpapi_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/python-code-executor/pyexec"
	"github.com/python-code-executor/pyexec/e2e/e2etest"
	"github.com/python-code-executor/pyexec/internal/httpapi"
)

// streamed posts to a server whose executor is run.
func streamed(t *testing.T, opts httpapi.Options, run func(ctx context.Context, req pyexec.Request) (pyexec.Result, error)) (*http.Response, *e2etest.Events) {
	t.Helper()
	opts.Executor = &fake{set: run}
	req, err := e2etest.StreamRequest("http://"+serve(t, opts), plain)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Request-Id", "the-id")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	res, err := http.DefaultClient.Do(req.WithContext(ctx))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Body.Close() })
	return res, e2etest.NewEvents(res.Body)
}

func wantEvents(t *testing.T, events *e2etest.Events, want ...e2etest.Event) {
	t.Helper()
	for _, w := range want {
		got, err := events.Next()
		if err != nil {
			t.Fatalf("want %v: %v", w, err)
		}
		if d := cmp.Diff(w, got); d != "" {
			t.Fatal(d)
		}
	}
}

func wantEnd(t *testing.T, events *e2etest.Events) {
	t.Helper()
	if e, err := events.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("want the end, got %v, %v", e, err)
	}
}

var started = e2etest.Event{Name: "started", Data: `{"id":"the-id"}`}

func TestOutputIsStreamedWhileTheScriptRuns(t *testing.T) {
	seen := make(chan struct{})
	res, events := streamed(t, httpapi.Options{}, func(ctx context.Context, req pyexec.Request) (pyexec.Result, error) {
		req.Watcher.Started()
		req.Watcher.Printed(pyexec.Stdout, "<é>\n")
		select { // it goes on only once the client has the line
		case <-seen:
		case <-ctx.Done():
			return pyexec.Result{}, ctx.Err()
		}
		req.Watcher.Printed(pyexec.Stderr, "oh")
		return pyexec.Result{
			Value: json.RawMessage("[1,\r\n\n 2]"), Stdout: "<é>\n", Stderr: "oh",
			Timing: pyexec.Timing{Queue: time.Millisecond, Spawn: 2 * time.Millisecond, Run: 3 * time.Millisecond},
		}, nil
	})
	if res.StatusCode != 200 || res.Header.Get("Content-Type") != "text/event-stream" ||
		res.Header.Get("X-Request-Id") != "the-id" || res.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("answered %d %v", res.StatusCode, res.Header)
	}
	wantEvents(t, events, started, e2etest.Event{Name: "stdout", Data: `{"text":"<é>\n"}`})
	close(seen)
	wantEvents(
		t, events,
		e2etest.Event{Name: "stderr", Data: `{"text":"oh"}`},
		e2etest.Event{Name: "timing", Data: `{"queue_ms":1.0,"spawn_ms":2.0,"run_ms":3.0}`},
		e2etest.Event{Name: "result", Data: `{"result":[1,    2],"stdout":"<é>\n"}`},
	)
	wantEnd(t, events)
}

var noTime = e2etest.Event{Name: "timing", Data: `{"queue_ms":0.0,"spawn_ms":0.0,"run_ms":0.0}`}

func TestAFailureOfTheScriptIsAnErrorEvent(t *testing.T) {
	_, events := streamed(t, httpapi.Options{}, func(context.Context, pyexec.Request) (pyexec.Result, error) {
		return pyexec.Result{Failure: &pyexec.Failure{Type: pyexec.Timeout, Message: "slow", LimitMS: 5}}, nil
	})
	wantEvents(t, events, noTime, e2etest.Event{
		Name: "error", Data: `{"status":400,"error":{"type":"timeout","message":"slow","limit_ms":5},"stdout":""}`,
	})
	wantEnd(t, events)
}

func TestARunThatIsLostEndsTheStream(t *testing.T) {
	for name, lost := range map[string]struct {
		end  func() (pyexec.Result, error)
		data string
	}{
		"slot": {
			func() (pyexec.Result, error) {
				return pyexec.Result{}, &pyexec.Error{Code: pyexec.CodeUnavailable, Message: "lost", Started: true}
			},
			`{"status":503,"error":{"type":"unavailable","message":"lost","started":true},"stdout":""}`,
		},
		"panic": {
			func() (pyexec.Result, error) { panic("/secret") },
			`{"status":500,"error":{"type":"internal","message":"internal error","request_id":"the-id"},"stdout":""}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, events := streamed(t, httpapi.Options{}, func(_ context.Context, req pyexec.Request) (pyexec.Result, error) {
				req.Watcher.Started()
				return lost.end()
			})
			wantEvents(t, events, started, noTime, e2etest.Event{Name: "error", Data: lost.data})
			wantEnd(t, events)
		})
	}
}

func overloaded() error {
	return &pyexec.Error{Code: pyexec.CodeOverloaded, Message: "full", RetryAfter: 2 * time.Second}
}

func TestARefusalBeforeTheStreamIsAPlainAnswer(t *testing.T) {
	res, _ := streamed(t, httpapi.Options{}, func(context.Context, pyexec.Request) (pyexec.Result, error) {
		return pyexec.Result{}, overloaded()
	})
	body, _ := io.ReadAll(res.Body)
	const want = `{"error":{"type":"overloaded","message":"full","started":false},"stdout":""}`
	if res.StatusCode != 503 || res.Header.Get("Content-Type") != "application/json" || res.Header.Get("Retry-After") != "2" || string(body) != want {
		t.Errorf("answered %d %v %s", res.StatusCode, res.Header, body)
	}
}

func TestHeartbeatsWhileTheRequestWaits(t *testing.T) {
	refuse := make(chan struct{})
	res, events := streamed(t, httpapi.Options{Heartbeat: time.Millisecond}, func(ctx context.Context, _ pyexec.Request) (pyexec.Result, error) {
		select {
		case <-refuse:
			return pyexec.Result{}, overloaded()
		case <-ctx.Done():
			return pyexec.Result{}, ctx.Err()
		}
	})
	if res.StatusCode != 200 {
		t.Errorf("answered %d", res.StatusCode)
	}
	beat := e2etest.Event{Data: "waiting"}
	wantEvents(t, events, beat, beat, beat)
	close(refuse)
	all, err := events.All()
	if err != nil {
		t.Fatal(err)
	}
	want := e2etest.Event{
		Name: "error", Data: `{"status":503,"retry_after":2,"error":{"type":"overloaded","message":"full","started":false},"stdout":""}`,
	}
	if last := all[len(all)-1]; last != want {
		t.Errorf("the last event is %v", last)
	}
}

func TestTheRunDoesNotWaitForASlowReader(t *testing.T) {
	// More than the sockets' buffers hold, of characters that no event may cut.
	text := strings.Repeat("€", 8<<20)
	ended := make(chan struct{})
	_, events := streamed(t, httpapi.Options{}, func(_ context.Context, req pyexec.Request) (pyexec.Result, error) {
		defer close(ended)
		req.Watcher.Started()
		for rest := text; rest != ""; rest = rest[3<<10:] {
			req.Watcher.Printed(pyexec.Stdout, rest[:3<<10])
		}
		return pyexec.Result{Value: json.RawMessage("1")}, nil
	})
	<-ended // before a byte was read
	all, err := events.All()
	if err != nil {
		t.Fatal(err)
	}
	if got := e2etest.Printed(all, "stdout"); got != text {
		t.Errorf("%d bytes came, of %d", len(got), len(text))
	}
	for _, e := range all {
		if len(e.Data) > 32<<10+20 {
			t.Errorf("an event has %d bytes", len(e.Data))
		}
	}
}

func TestAReaderThatTakesNothingEndsTheRun(t *testing.T) {
	ended := make(chan error, 1)
	addr := serve(t, httpapi.Options{WriteTimeout: 50 * time.Millisecond, Executor: &fake{set: func(ctx context.Context, req pyexec.Request) (pyexec.Result, error) {
		req.Watcher.Started()
		req.Watcher.Printed(pyexec.Stdout, strings.Repeat("x", 32<<20))
		<-ctx.Done()
		ended <- ctx.Err()
		return pyexec.Result{}, &pyexec.Error{Code: pyexec.CodeCanceled, Err: ctx.Err()}
	}}})
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	req, err := e2etest.StreamRequest("http://a", plain)
	if err != nil {
		t.Fatal(err)
	}
	if err := req.Write(conn); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ended:
	case <-time.After(30 * time.Second):
		t.Error("the run goes on")
	}
}

func TestAClientThatLeavesEndsTheRun(t *testing.T) {
	ended := make(chan struct{})
	res, events := streamed(t, httpapi.Options{}, func(ctx context.Context, req pyexec.Request) (pyexec.Result, error) {
		defer close(ended)
		req.Watcher.Started()
		<-ctx.Done()
		return pyexec.Result{}, &pyexec.Error{Code: pyexec.CodeCanceled, Err: ctx.Err()}
	})
	wantEvents(t, events, started)
	res.Body.Close()
	select {
	case <-ended:
	case <-time.After(30 * time.Second):
		t.Error("the run goes on")
	}
}

// TestAConnectionServesOnAfterAStream also shows the very bytes.
func TestAConnectionServesOnAfterAStream(t *testing.T) {
	conn, err := net.Dial("tcp", serve(t, httpapi.Options{Executor: &fake{}}))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	answers := bufio.NewReader(conn)
	for range 2 {
		req, err := e2etest.StreamRequest("http://a", plain)
		if err != nil {
			t.Fatal(err)
		}
		if err := req.Write(conn); err != nil {
			t.Fatal(err)
		}
		res, err := http.ReadResponse(answers, req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		const want = "event: timing\ndata: {\"queue_ms\":0.0,\"spawn_ms\":0.0,\"run_ms\":0.0}\n\n" +
			"event: result\ndata: {\"result\":null,\"stdout\":\"\"}\n\n"
		if err != nil || string(body) != want {
			t.Errorf("got %q, %v", body, err)
		}
	}
}

func TestWhoAsksForAStream(t *testing.T) {
	for accept, want := range map[string]bool{
		"":                                    false,
		"*/*":                                 false,
		"application/json":                    false,
		"text/*":                              false,
		"text/event-stream":                   true,
		"Text/Event-Stream; charset=utf-8":    true,
		"text/event-stream;q=0":               false,
		"text/event-stream;q=x":               false,
		"text/event-stream;q=NaN":             false,
		"text/event-stream, application/json": true,
		"application/json, text/event-stream": false,
		"application/json;q=0.5, text/event-stream": true,
		"text/event-stream;q=0.5, application/json": false,
		"text/html, text/event-stream, */*":         true,
		";;;, text/event-stream":                    true,
	} {
		r := httptest.NewRequest("POST", "/execute", strings.NewReader(plain))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Accept", accept)
		w := httptest.NewRecorder()
		httpapi.New(httpapi.Options{Executor: &fake{}}).ServeHTTP(w, r)
		if got := w.Header().Get("Content-Type") == "text/event-stream"; got != want {
			t.Errorf("Accept: %s gets %s", accept, w.Header().Get("Content-Type"))
		}
	}
}
