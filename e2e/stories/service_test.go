package stories

import (
	"bytes"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestServiceErrors has the rows that no script is the cause of and that need
// no special state of the server.
func TestServiceErrors(t *testing.T) {
	t.Parallel()
	url := shared(t)
	good := []byte(`{"script":"def main(): return 1"}`)
	large := func(key string, n int) []byte {
		return []byte(`{"script":"def main(): return 1","` + key + `":"` + strings.Repeat("x", n) + `"}`)
	}
	for name, c := range map[string]struct {
		method, path string
		body         []byte
		headers      []string
		status       int
		kind, word   string
		allow        string
		limit        int
	}{
		"not found":            {"POST", "/run", good, nil, 404, "not_found", "/execute", "", 0},
		"trailing slash":       {"POST", "/execute/", good, nil, 404, "not_found", "", "", 0},
		"method of execute":    {"GET", "/execute", nil, nil, 405, "method_not_allowed", "POST", "POST", 0},
		"method of health":     {"POST", "/health", good, nil, 405, "method_not_allowed", "GET", "GET, HEAD", 0},
		"body":                 {"POST", "/execute", large("stdin", 2<<20), nil, 413, "too_large", "2 MiB", "", 2 << 20},
		"script":               {"POST", "/execute", []byte(`{"script":"` + strings.Repeat("#", 1<<20+1) + `"}`), nil, 413, "too_large", "1 MiB", "", 1 << 20},
		"media type":           {"POST", "/execute", good, []string{"Content-Type", "text/plain"}, 415, "unsupported_media_type", "application/json", "", 0},
		"form":                 {"POST", "/execute", good, []string{"Content-Type", "application/x-www-form-urlencoded"}, 415, "unsupported_media_type", "application/json", "", 0},
		"no media type":        {"POST", "/execute", good, []string{"Content-Type", ""}, 415, "unsupported_media_type", "application/json", "", 0},
		"charset":              {"POST", "/execute", good, []string{"Content-Type", "application/json; charset=latin-1"}, 415, "unsupported_media_type", "", "", 0},
		"compressed":           {"POST", "/execute", good, []string{"Content-Encoding", "gzip"}, 415, "unsupported_media_type", "", "", 0},
		"no body at all":       {"POST", "/execute", []byte{}, nil, 400, "invalid_request", "", "", 0},
		"the query is nothing": {"POST", "/execute?script=x", []byte("{}"), nil, 400, "invalid_request", "script", "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			a, err := send(t.Context(), c.method, url+c.path, c.body, c.headers...)
			if err != nil {
				t.Fatal(err)
			}
			a.fails(t, c.status, c.kind)
			if !strings.Contains(a.message(), c.word) {
				t.Errorf("message %q does not say %q", a.message(), c.word)
			}
			if a.header.Get("Allow") != c.allow || a.header.Get("Retry-After") != "" || a.header.Get("X-Request-Id") == "" {
				t.Errorf("headers %v", a.header)
			}
			if c.limit > 0 && !strings.Contains(a.text, `"limit_bytes":`+strconv.Itoa(c.limit)) {
				t.Errorf("without the limit: %s", a.text)
			}
		})
	}
	a, err := send(t.Context(), "POST", url+"/execute", bytes.TrimSpace(good), "Content-Type", "application/json; charset=UTF-8")
	if err != nil || a.status != 200 {
		t.Errorf("charset=UTF-8: %d, %v", a.status, err)
	}
}

// TestOverloaded: one place and no line.
func TestOverloaded(t *testing.T) {
	t.Parallel()
	server := start(t, "--concurrency=1", "--queue=0")
	var first sync.WaitGroup
	first.Go(func() { execute(t, server.BaseURL, request{"script": busy(4)}).want(t, `"done"`) })
	awaitBusy(t, server, 1)
	a := execute(t, server.BaseURL, request{"script": inMain("return 1")})
	a.fails(t, 503, "overloaded")
	notBegun(t, a)
	health := get(t, server.BaseURL+"/health")
	if health.status != 200 || health.took > time.Second {
		t.Errorf("under load /health is %d after %v: %s", health.status, health.took, health.text)
	}
	first.Wait()
	execute(t, server.BaseURL, request{"script": inMain("return 1")}).want(t, "1")
}

// notBegun checks what a 503 must say when the script was not begun.
func notBegun(t testing.TB, a answer) {
	t.Helper()
	seconds, err := strconv.Atoi(a.header.Get("Retry-After"))
	if err != nil || seconds < 1 || seconds > 60 {
		t.Errorf("Retry-After %q", a.header.Get("Retry-After"))
	}
	if a.err["started"] != false || a.stdout() != "" {
		t.Errorf("started %v: %s", a.err["started"], a.text)
	}
}

// begun checks a 503 of a run that was lost: nobody may repeat it unasked.
func begun(t testing.TB, a answer) {
	t.Helper()
	a.fails(t, 503, "unavailable")
	if a.err["started"] != true || a.header.Get("Retry-After") != "" {
		t.Errorf("started %v, Retry-After %q: %s", a.err["started"], a.header.Get("Retry-After"), a.text)
	}
	if a.stdout() != "begun\n" {
		t.Errorf("stdout %q, want what was printed before", a.stdout())
	}
}

// TestTerminated: SIGTERM with runs in flight and in line (row 107).
func TestTerminated(t *testing.T) {
	t.Parallel()
	server := start(t, "--concurrency=2", "--queue=30")
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() { execute(t, server.BaseURL, request{"script": busy(2)}).want(t, `"done"`) })
	}
	awaitBusy(t, server, 2)
	before := server.Snapshot()
	for range 20 {
		all.Go(func() {
			a := execute(t, server.BaseURL, request{"script": inMain("return 1")})
			a.fails(t, 503, "draining")
			notBegun(t, a)
		})
	}
	time.Sleep(200 * time.Millisecond) // in line, or refused as late: the answer is the same
	if err := server.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, 2*time.Second, func() bool { return get(t, server.BaseURL+"/readyz").status == 503 })
	if a := get(t, server.BaseURL+"/livez"); a.status != 200 {
		t.Errorf("/livez while draining: %d", a.status)
	}
	a := execute(t, server.BaseURL, request{"script": inMain("return 1")})
	a.fails(t, 503, "draining")
	notBegun(t, a)
	all.Wait()
	exited(t, server, 0)
	nothingLeft(t, server, before)
}

// TestGraceExceeded: what has not ended by then is lost, and says so.
func TestGraceExceeded(t *testing.T) {
	t.Parallel()
	server := start(t, "--concurrency=2", "--grace=300ms")
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() { begun(t, execute(t, server.BaseURL, request{"script": busy(9)})) })
	}
	awaitBusy(t, server, 2)
	before := server.Snapshot()
	if err := server.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	all.Wait()
	exited(t, server, 0)
	nothingLeft(t, server, before)
}
