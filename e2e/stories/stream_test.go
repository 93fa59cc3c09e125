package stories

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/python-code-executor/pyexec/e2e/e2etest"
	"github.com/python-code-executor/pyexec/e2e/e2etest/strictjson"
)

// open asks for a stream and returns its events; the test's end closes it.
func open(t testing.TB, url string, req request) (*e2etest.Events, func()) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	res, err := stream(ctx, url, req)
	if err != nil {
		t.Fatal(err)
	}
	leave := sync.OnceFunc(func() { cancel(); res.Body.Close() })
	t.Cleanup(leave)
	return e2etest.NewEvents(res.Body), leave
}

// stream asks for a stream; an answer that is none is an error.
func stream(ctx context.Context, url string, req request) (*http.Response, error) {
	body, err := json.Marshal(req)
	if err != nil {
		return nil, err
	}
	r, err := e2etest.StreamRequest(url, string(body))
	if err != nil {
		return nil, err
	}
	res, err := client.Do(r.WithContext(ctx))
	if err != nil {
		return nil, err
	}
	if kind := res.Header.Get("Content-Type"); res.StatusCode != http.StatusOK || kind != "text/event-stream" {
		defer res.Body.Close()
		text, _ := io.ReadAll(res.Body)
		return nil, fmt.Errorf("answered %d %s: %s", res.StatusCode, kind, text)
	}
	return res, nil
}

// until reads up to the event of a name, heartbeats left out.
func until(t testing.TB, events *e2etest.Events, name string) []e2etest.Event {
	t.Helper()
	var all []e2etest.Event
	for {
		e, err := events.Next()
		if err != nil {
			t.Fatalf("%v after %.500v, before a %s event", err, all, name)
		}
		if e.Name != "" {
			all = append(all, e)
		}
		if e.Name == name {
			return all
		}
	}
}

func TestStreamedOutputComesWhileTheScriptRuns(t *testing.T) {
	server := start(t)
	events, leave := open(t, server.BaseURL, request{"script": busy(9)})
	all := until(t, events, "stdout")
	if got := e2etest.Printed(all, "stdout"); got != "begun\n" && got != "begun" || all[0].Name != "started" {
		t.Errorf("the first events are %v", all)
	}
	awaitBusy(t, server, 1) // it has printed, and it runs
	began := time.Now()
	leave()
	awaitBusy(t, server, 0)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("the run went on for %v after its client had left", took)
	}
}

// TestAStreamEndsInThePlainAnswer runs each script both ways.
func TestAStreamEndsInThePlainAnswer(t *testing.T) {
	server := start(t, "--concurrency=4")
	url := server.BaseURL
	for name, req := range map[string]request{
		"result":         {"script": inMain("print('a')", "return {'b': [1, None]}")},
		"input":          {"script": "def main(n):\n    return n * 2", "input": 21},
		"no newline":     {"script": inMain("print('a', end='')", "return 1")},
		"characters":     {"script": inMain("for _ in range(9999): print('€', end='', flush=True)", "return 1")},
		"cut characters": {"script": inMain("import os", "for b in '😀é'.encode() * 50: os.write(1, bytes([b]))", "return 1")},
		"wrong bytes":    {"script": inMain("import os", "for b in b'a\\xff\\xffb\\xe2\\x82' * 9: os.write(1, bytes([b]))", "return 1")},
		"beyond the cap": {"script": inMain("print('€' * 400_000)", "print('x')", "return 1")},
		"result of 1 MB": {"script": inMain("return 'é' * 500_000")},
		"markup":         {"script": inMain("print('</script>\\n\\nevent: result\\ndata: 1\\n\\n\\r')", "return '\\n\\ndata: \\r'")},
		"syntax error":   {"script": "def main(:"},
		"no main":        {"script": "x = 1"},
		"exception":      {"script": inMain("print('before')", "raise ValueError('x')")},
		"exit":           {"script": inMain("import os", "print('before')", "os._exit(3)")},
		"timeout":        {"script": inMain("print('before')", "while True: pass"), "timeout_ms": 300},
		"no JSON":        {"script": inMain("return {1, 2}")},
		"policy":         {"script": inMain("return eval('1')")},
	} {
		t.Run(name, func(t *testing.T) {
			plain := execute(t, url, req)
			events, _ := open(t, url, req)
			all, err := events.All()
			if err != nil {
				t.Fatal(err)
			}
			last := all[len(all)-1]
			parsed, err := strictjson.Parse([]byte(last.Data))
			if err != nil {
				t.Fatal(err)
			}
			body, _ := parsed.(map[string]any)
			if plain.err == nil && last.Name != "result" || plain.err != nil && last.Name != "error" {
				t.Errorf("the last event is %q", last.Name)
			}
			if plain.err != nil {
				if got := fmt.Sprint(body["status"]); got != fmt.Sprint(plain.status) {
					t.Errorf("status %s, plainly %d", got, plain.status)
				}
				delete(body, "status")
			}
			if diff := strictjson.Diff(any(plain.body), any(body), 0); diff != "" {
				t.Error(diff)
			}
			if got := e2etest.Printed(all, "stdout"); got != plain.stdout() {
				t.Errorf("printed %.100q (%d bytes), plainly %.100q (%d bytes)", got, len(got), plain.stdout(), len(plain.stdout()))
			}
			for i, e := range all {
				if e.Name == "result" || e.Name == "error" {
					if i != len(all)-1 {
						t.Errorf("event %d of %d is %s", i, len(all), e.Name)
					}
				}
			}
		})
	}
	t.Run("stderr and files", func(t *testing.T) {
		events, _ := open(t, url, request{"details": true, "script": inMain(
			"import os, sys", "print('warned', file=sys.stderr)", "os.makedirs('output', exist_ok=True)",
			"open('output/a.txt', 'w').write('hi')", "return 1")})
		all := until(t, events, "result")
		var body struct {
			Stderr string
			Files  []struct{ Path string }
		}
		if err := json.Unmarshal([]byte(all[len(all)-1].Data), &body); err != nil {
			t.Fatal(err)
		}
		if e2etest.Printed(all, "stderr") != "warned\n" || body.Stderr != "warned\n" || len(body.Files) != 1 || body.Files[0].Path != "output/a.txt" {
			t.Errorf("got %v", all)
		}
	})
	t.Run("refused", func(t *testing.T) {
		a, err := send(t.Context(), http.MethodPost, url+"/execute", []byte(`{"script": 1}`), "Accept", "text/event-stream")
		if err != nil {
			t.Fatal(err)
		}
		a.fails(t, 400, "invalid_request")
	})
}

func TestAStreamWaitsInLine(t *testing.T) {
	server := start(t, "--concurrency=1", "--queue=1")
	first, leave := open(t, server.BaseURL, request{"script": busy(9)})
	until(t, first, "stdout")
	second, _ := open(t, server.BaseURL, request{"script": inMain("return 2")})
	beat, err := second.Next() // what began the stream
	if err != nil || beat != (e2etest.Event{Data: "waiting"}) {
		t.Errorf("in line there came %v, %v", beat, err)
	}
	leave()
	if all := until(t, second, "result"); all[len(all)-1].Data != `{"result":2,"stdout":""}` {
		t.Errorf("got %v", all)
	}
}

// TestAThousandStreams holds them open at once, some running and the others in
// line, and looks at the server's memory: what a crowd takes must not grow from
// one to the next.
func TestAThousandStreams(t *testing.T) {
	const streams, places, crowds = 1000, 4, 3
	// GOGC keeps the garbage of one crowd small beside the streams of the next.
	server := launch(t, e2etest.Config{
		Args: []string{"--queue=1000", "--concurrency=4", "--max-wait=1h", "--timeout=5m"}, Env: []string{"GOGC=20"},
	})
	for range 20 { // a first expected time for the line
		execute(t, server.BaseURL, request{"script": inMain("return 1")})
	}
	at := []int{resident(t, server)}
	for range crowds {
		var all sync.WaitGroup
		var results atomic.Int32
		hold, leave := context.WithCancel(t.Context())
		var first, rest sync.WaitGroup
		// The first keep the places until all others wait, and then leave.
		first.Add(places)
		for range places {
			all.Go(func() {
				err := oneOfMany(hold, server.BaseURL, inMain("import time", "print('x')", "time.sleep(250)", "return 1"), first.Done)
				if !errors.Is(err, context.Canceled) {
					t.Errorf("a stream that was left: %v", err)
				}
			})
		}
		first.Wait()
		rest.Add(streams - places)
		for range streams - places {
			all.Go(func() {
				if err := oneOfMany(t.Context(), server.BaseURL, inMain("print('x')", "return 1"), rest.Done); err != nil {
					t.Errorf("a stream: %v", err)
					return
				}
				results.Add(1)
			})
		}
		rest.Wait()
		if n := results.Load(); n > 0 {
			t.Errorf("%d streams ended before all had begun", n)
		}
		at = append(at, resident(t, server))
		leave()
		all.Wait()
		if n := results.Load(); n != streams-places {
			t.Fatalf("%d of %d streams ended in a result", n, streams-places)
		}
	}
	t.Logf("resident memory of the server: %d KiB before, then %v KiB with %d streams open", at[0], at[1:], streams)
	if grown := at[1] - at[0]; grown > 128<<10 {
		t.Errorf("%d streams took %d KiB", streams, grown)
	}
	if grown := at[crowds] - at[1]; grown > 16<<10 {
		t.Errorf("the last crowd took %d KiB more than the first", grown)
	}
}

// dialling bounds how many of the streams connect at once: a connection whose
// request does not come is closed by the server after some seconds, and on a
// busy machine a thousand at once take that long.
var dialling = make(chan struct{}, 20)

// oneOfMany is one stream from its first byte to its result.
func oneOfMany(ctx context.Context, url, source string, begun func()) error {
	ctx, cancel := context.WithTimeout(ctx, 4*time.Minute)
	defer cancel()
	begun = sync.OnceFunc(begun)
	defer begun()
	dialling <- struct{}{}
	sent := sync.OnceFunc(func() { <-dialling })
	defer sent()
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) { sent() }})
	res, err := stream(ctx, url, request{"script": source})
	if err != nil {
		return err
	}
	defer res.Body.Close()
	begun()
	all, err := e2etest.NewEvents(res.Body).All()
	if err != nil {
		return err
	}
	if e2etest.Printed(all, "stdout") != "x\n" || all[len(all)-1].Data != `{"result":1,"stdout":"x\n"}` {
		return fmt.Errorf("ended in %v", all)
	}
	return nil
}

// resident is the memory of the server's own process, in KiB.
func resident(t testing.TB, server *e2etest.Server) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", server.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(text), "VmRSS:")
	var kib int
	if _, err := fmt.Sscan(after, &kib); err != nil {
		t.Fatal(errors.Join(errors.New("no VmRSS"), err))
	}
	return kib
}
