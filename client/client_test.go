package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/python-code-executor/pyexec/client"
	"github.com/python-code-executor/pyexec/e2e/e2etest"
)

func TestMain(m *testing.M) { e2etest.Main(m) }

func connect(t *testing.T, url string, opts ...client.Option) *client.Client {
	t.Helper()
	c, err := client.New(url, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestRealServer(t *testing.T) {
	server := e2etest.Start(t)
	c := connect(t, server.BaseURL+"/")

	t.Run("all that a request may have", func(t *testing.T) {
		res, err := c.Execute(t.Context(), client.Request{
			Script: "import os, sys\ndef main(data):\n    print(sys.stdin.read(), os.environ['WHO'])\n    print('e', file=sys.stderr)\n    os.mkdir('output')\n    open('output/x.bin', 'wb').write(open('in/a.bin', 'rb').read())\n    return {'data': data, 'large': 12345678901234567890123}",
			Input:  map[string]any{"n": 1}, Stdin: "in", Env: map[string]string{"WHO": "<me>"},
			Files:   []client.File{{Path: "in/a.bin", Content: []byte{0, 255}}, {Path: "empty"}},
			Timeout: 5 * time.Second, Memory: 256, Details: true,
		})
		if err != nil {
			t.Fatal(err)
		}
		var value struct {
			Data  map[string]int
			Large json.Number
		}
		if err := res.Decode(&value); err != nil || value.Data["n"] != 1 || value.Large != "12345678901234567890123" {
			t.Errorf("%s: %+v, %v", res.Value, value, err)
		}
		if res.Stdout != "in <me>\n" || res.Stderr != "e\n" || res.ID == "" || res.ID != res.RequestID || res.Usage.MemoryBytes == 0 || !res.Isolation.Layers["seccomp"].Active {
			t.Errorf("%+v", res)
		}
		if len(res.Files) != 1 || res.Files[0].Path != "output/x.bin" || string(res.Files[0].Content) != "\x00\xff" {
			t.Errorf("files %+v", res.Files)
		}
	})
	t.Run("None and no input", func(t *testing.T) {
		script := "def main(*data):\n    return list(data)"
		for _, in := range []any{nil, json.RawMessage("null")} {
			res, err := c.Execute(t.Context(), client.Request{Script: script, Input: in})
			if want := map[bool]string{true: "[]", false: "[null]"}[in == nil]; err != nil || string(res.Value) != want {
				t.Errorf("input %v: %+v, %v", in, res, err)
			}
		}
	})
	t.Run("errors", func(t *testing.T) {
		for kind, req := range map[client.ErrorType]client.Request{
			client.InvalidRequest:  {Script: ""},
			client.SyntaxError:     {Script: "def main(:"},
			client.MissingMain:     {Script: "x = 1"},
			client.MissingReturn:   {Script: "def main():\n    pass"},
			client.PolicyViolation: {Script: "def main():\n    return eval('1')"},
			client.Exception:       {Script: "def main():\n    print('before')\n    return [][1]"},
			client.Exited:          {Script: "import sys\ndef main():\n    sys.exit(3)\n    return 1"},
			client.InvalidResult:   {Script: "def main():\n    return {'a': {1}}"},
			client.Timeout:         {Script: "def main():\n    while True: pass", Timeout: 100 * time.Millisecond},
			client.MemoryLimit:     {Script: "def main():\n    return len(bytearray(b'x') * (200 << 20))", Memory: 64},
			client.Killed:          {Script: "import os, signal\ndef main():\n    signal.raise_signal(9)\n    return 1"},
			client.DiskLimit:       {Script: "def main():\n    with open('x', 'wb') as f:\n        while True: f.write(bytes(1 << 20))"},
			client.OutputLimit:     {Script: "def main():\n    return 'x' * (9 << 20)"},
		} {
			_, err := c.Execute(t.Context(), req)
			var e *client.Error
			if !errors.Is(err, kind) || !errors.As(err, &e) || !e.ByScript() || e.Status != 400 || e.Message == "" || e.RequestID == "" || e.Retryable() {
				t.Errorf("%s: got %v, %+v", kind, err, e)
				continue
			}
			switch kind {
			case client.Exception:
				if e.Exception != "IndexError" || e.Line != 3 || e.Stdout != "before\n" || !strings.Contains(e.Traceback, "line 3, in main") {
					t.Errorf("%+v", e)
				}
			case client.Exited:
				if e.ExitStatus != 3 {
					t.Errorf("%+v", e)
				}
			case client.Timeout:
				if e.LimitMS != 100 {
					t.Errorf("%+v", e)
				}
			case client.InvalidResult:
				if e.Path != "$.a" {
					t.Errorf("%+v", e)
				}
			}
		}
		_, err := c.Execute(t.Context(), client.Request{Script: "def main():\n    return 1 #" + strings.Repeat("x", 3<<20)})
		if !errors.Is(err, client.TooLarge) {
			t.Errorf("a script of 3 MiB: %v", err)
		}
		if errors.Is(err, client.Timeout) {
			t.Error("it is all of them")
		}
	})
	t.Run("health", func(t *testing.T) {
		text, err := c.Health(t.Context())
		if err != nil || !strings.Contains(string(text), `"python":"3.`) {
			t.Errorf("%s, %v", text, err)
		}
	})
	t.Run("stream", func(t *testing.T) {
		var out, errs strings.Builder
		res, err := c.Stream(t.Context(), client.Request{Script: "import sys\ndef main():\n    print('one\\ntwo')\n    print('e', file=sys.stderr)\n    return 'ü\\n'", Details: true}, func(e client.Event) error {
			switch e.Kind {
			case client.Stdout:
				out.WriteString(e.Text)
			case client.Stderr:
				errs.WriteString(e.Text)
			}
			return nil
		})
		if err != nil || string(res.Value) != `"ü\n"` || out.String() != "one\ntwo\n" || errs.String() != "e\n" || res.Stdout != out.String() || res.Stderr != errs.String() {
			t.Errorf("%+v, %v; streamed %q, %q", res, err, out.String(), errs.String())
		}
		_, err = c.Stream(t.Context(), client.Request{Script: "def main():\n    print('x')\n    return 1 / 0"}, func(client.Event) error { return nil })
		var e *client.Error
		if !errors.As(err, &e) || e.Type != client.Exception || e.Status != 400 || e.Stdout != "x\n" || e.RequestID == "" {
			t.Errorf("%v, %+v", err, e)
		}
		stop := errors.New("stop")
		var shown strings.Builder // a busy machine may cut a line in two
		if _, err := c.Stream(t.Context(), client.Request{Script: "def main():\n    print('x')\n    while True: pass"}, func(e client.Event) error {
			if shown.WriteString(e.Text); shown.String() == "x\n" { // while the run goes on, which ends with it
				return stop
			}
			return nil
		}); !errors.Is(err, stop) {
			t.Errorf("an error of the caller's becomes %v", err)
		}
	})
	t.Run("a caller that leaves", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		began := time.Now()
		if _, err := c.Execute(ctx, client.Request{Script: "def main():\n    while True: pass"}); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 5*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

// answers is a server that answers one after the other, and then ok.
func answers(t *testing.T, list ...string) (url string, calls func() int) {
	t.Helper()
	n := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		n++
		w.Header().Set("Content-Type", "application/json")
		if n > len(list) {
			fmt.Fprint(w, `{"result":1,"stdout":""}`)
			return
		}
		var status int
		var after, body string
		_, _ = fmt.Sscanf(list[n-1], "%d %s %s", &status, &after, &body)
		if after != "-" {
			w.Header().Set("Retry-After", after)
		}
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}))
	t.Cleanup(s.Close)
	return s.URL, func() int { return n }
}

// TestRetries: only what the server says was not begun, and with a time, is
// sent again.
func TestRetries(t *testing.T) {
	const overloaded = `{"error":{"type":"overloaded","message":"full","started":false}}`
	for name, c := range map[string]struct {
		answers []string
		calls   int
		err     error
	}{
		"not begun":           {[]string{"503 1 " + overloaded}, 2, nil},
		"over its rate":       {[]string{`429 1 {"error":{"type":"rate_limited","message":"slow"}}`}, 2, nil},
		"twice":               {[]string{"503 0 " + overloaded, "503 1 " + overloaded}, 3, nil},
		"three times":         {[]string{"503 1 " + overloaded, "503 0 " + overloaded, "503 0 " + overloaded}, 3, client.Overloaded},
		"no Retry-After":      {[]string{"503 - " + overloaded}, 1, client.Overloaded},
		"too long":            {[]string{"503 60 " + overloaded}, 1, client.Overloaded},
		"begun":               {[]string{`503 1 {"error":{"type":"unavailable","message":"lost","started":true}}`}, 1, client.Unavailable},
		"of the script":       {[]string{`400 1 {"error":{"type":"timeout","message":"slow"}}`}, 1, client.Timeout},
		"internal":            {[]string{`500 1 {"error":{"type":"internal","message":"oh"}}`}, 1, client.Internal},
		"of another server":   {[]string{"502 1 <html>"}, 1, client.Internal},
		"busy, says a proxy":  {[]string{"503 1 <html>"}, 1, client.Internal},
		"of a known form":     {[]string{`503 1 {"error":{"type":"busy","message":"wait"}}`}, 1, client.ErrorType("busy")},
		"elsewhere":           {[]string{"307 1 {}"}, 1, client.Internal},
		"not ours, though 2x": {[]string{"200 1 {}"}, 1, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, calls := answers(t, c.answers...)
			res, err := connect(t, url).Execute(t.Context(), client.Request{Script: "x"})
			switch {
			case calls() != c.calls:
				t.Errorf("%d calls, want %d", calls(), c.calls)
			case c.err != nil && !errors.Is(err, c.err):
				t.Errorf("got %v, want %v", err, c.err)
			case c.err == nil && c.calls > 1 && (err != nil || string(res.Value) != "1"):
				t.Errorf("got %+v, %v", res, err)
			case c.calls == 1 && err == nil:
				t.Error("it is taken for a result")
			}
		})
	}
	t.Run("not beyond the deadline", func(t *testing.T) {
		t.Parallel()
		url, calls := answers(t, "503 20 "+overloaded)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if _, err := connect(t, url).Execute(ctx, client.Request{}); !errors.Is(err, client.Overloaded) || calls() != 1 || ctx.Err() != nil {
			t.Errorf("%v after %d calls", err, calls())
		}
	})
}

// TestMediaTypeOfAnError: its case and its parameters say nothing.
func TestMediaTypeOfAnError(t *testing.T) {
	for kind, want := range map[string]client.ErrorType{
		"application/json": client.Overloaded, "Application/JSON ; charset=UTF-8": client.Overloaded,
		"application/json-seq": client.Internal, "text/html": client.Internal, "": client.Internal,
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header()["Content-Type"] = []string{kind}
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprint(w, `{"error":{"type":"overloaded","message":"full"}}`)
		}))
		defer s.Close()
		if _, err := connect(t, s.URL).Execute(t.Context(), client.Request{}); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", kind, err, want)
		}
	}
}

func TestStreamOfAnotherServer(t *testing.T) {
	for name, c := range map[string]struct{ events, want string }{
		"comments and more fields": {": hello\n\nid: 7\nretry: 1\nevent: stdout\ndata: {\"text\":\"a\"}\n\nevent: later\ndata: x\n\nevent: result\ndata: {\"result\":1,\ndata: \"stdout\":\"a\"}\n\n", "a"},
		"carriage returns":         {"event: stdout\r\ndata: {\"text\":\"a\"}\r\n\r\nevent: result\r\ndata: {\"result\":1}\r\n\r\n", "a"},
		"cut":                      {"event: stdout\ndata: {\"text\":\"a\"}\n\n", "the stream ended before the result"},
		"refused in it":            {"event: error\ndata: {\"status\":503,\"error\":{\"type\":\"unavailable\",\"message\":\"lost\",\"started\":true}}\n\n", "unavailable: lost"},
		"not an error":             {"event: error\ndata: {}\n\n", "not one of python-code-executor"},
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if !strings.Contains(r.Header.Get("Accept"), "text/event-stream") {
					t.Errorf("Accept: %s", r.Header.Get("Accept"))
				}
				w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
				fmt.Fprint(w, c.events)
			}))
			defer s.Close()
			got := ""
			res, err := connect(t, s.URL).Stream(t.Context(), client.Request{}, func(e client.Event) error { got += e.Text; return nil })
			if c.want == "a" && (err != nil || got != "a" || string(res.Value) != "1") || c.want != "a" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %q, %+v, %v", got, res, err)
			}
		})
	}
}

func TestAllow(t *testing.T) {
	for want, r := range map[string]client.Request{
		`{"script":"<"}`:                                   {Script: "<"},
		`{"script":"<","network":{"allow":[]}}`:            {Script: "<", Allow: []string{}},
		`{"script":"<","network":{"allow":["a.example"]}}`: {Script: "<", Allow: []string{"a.example"}},
	} {
		if got, err := r.MarshalJSON(); err != nil || strings.TrimSpace(string(got)) != want {
			t.Errorf("%s, %v; want %s", got, err, want)
		}
	}
}

// TestNotUTF8: no other text than the one that was given may reach a server.
func TestNotUTF8(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, `{"result":1}`)
	}))
	defer s.Close()
	c := connect(t, s.URL)
	for field, r := range map[string]client.Request{
		"script":           {Script: "# \xe9"},
		"stdin":            {Stdin: "\xff"},
		`env["A"]`:         {Env: map[string]string{"A": "\xff"}},
		`env["\xff"]`:      {Env: map[string]string{"\xff": ""}},
		"files[1].path":    {Files: []client.File{{Path: "a"}, {Path: "\xff"}}},
		"network.allow[0]": {Allow: []string{"\xff"}},
	} {
		want := "request: " + field + " is not UTF-8"
		if _, err := c.Execute(t.Context(), r); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
		if _, err := c.Stream(t.Context(), r, func(client.Event) error { return nil }); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if _, err := c.Execute(t.Context(), client.Request{Script: "é\uFFFD", Files: []client.File{{Path: "a", Content: []byte{0xff}}}}); err != nil {
		t.Error(err)
	}
}

func TestNewAndKey(t *testing.T) {
	for _, url := range []string{"", "localhost:8080", "ftp://x", "http://", "http://x?y=1", "://"} {
		if _, err := client.New(url); err == nil {
			t.Errorf("%q is taken for a server", url)
		}
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"result":%q}`, r.Header.Get("Authorization"))
	}))
	defer s.Close()
	res, err := connect(t, s.URL, client.WithKey("k")).Execute(t.Context(), client.Request{})
	if err != nil || string(res.Value) != `"Bearer k"` {
		t.Errorf("%+v, %v", res, err)
	}
}
