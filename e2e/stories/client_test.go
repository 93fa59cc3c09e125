package stories

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/python-code-executor/pyexec/e2e/contract"
	"github.com/python-code-executor/pyexec/e2e/e2etest"
	"github.com/python-code-executor/pyexec/e2e/e2etest/strictjson"
)

// request is the body of POST /execute.
type request map[string]any

// answer is what came back, its body parsed.
type answer struct {
	status int
	header http.Header
	text   string
	body   map[string]any
	err    map[string]any // body["error"]; nil without
	took   time.Duration
}

// client has no limit on connections, and keeps few. Every answer is held to
// the server's document.
var client = &http.Client{Transport: contract.Transport{Base: &http.Transport{MaxIdleConnsPerHost: 4}}}

// execute sends a request and reads the answer, which must be strict JSON and
// show nothing of the server.
func execute(t testing.TB, url string, req request, headers ...string) answer {
	t.Helper()
	a, err := try(t.Context(), url, req, headers...)
	if err != nil {
		t.Fatalf("%.200v: %v", req["script"], err)
	}
	return a
}

// try is execute where the test is not ended by a connection's end.
func try(ctx context.Context, url string, req request, headers ...string) (answer, error) {
	body, err := json.Marshal(req)
	if err != nil {
		return answer{}, err
	}
	return send(ctx, http.MethodPost, url+"/execute", body, headers...)
}

// get reads a path with GET.
func get(t testing.TB, url string) answer {
	t.Helper()
	a, err := send(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// send is one exchange. Headers are names and values in turn; a body is sent
// as JSON unless they say otherwise.
func send(ctx context.Context, method, url string, body []byte, headers ...string) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
		if headers[i+1] == "" {
			req.Header.Del(headers[i])
		}
	}
	began := time.Now()
	res, err := client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return answer{}, err
	}
	a := answer{status: res.StatusCode, header: res.Header, text: string(text), took: time.Since(began)}
	parsed, err := strictjson.Parse(text)
	if err != nil {
		return a, err
	}
	var ok bool
	if a.body, ok = parsed.(map[string]any); !ok {
		return a, errors.New("the answer is not an object: " + strictjson.Cut(a.text, 200))
	}
	a.err, _ = a.body["error"].(map[string]any)
	return a, a.leaks()
}

// leaks finds what no answer may show: a path of the server, a Go error, a
// frame of the runner.
func (a answer) leaks() error {
	shown, _ := json.Marshal(a.err)
	for _, word := range []string{"pyexec_runner", "/runner", "/work/", "/venv", ".go:", "goroutine", "nsjail", "errno"} {
		if bytes.Contains(shown, []byte(word)) {
			return errors.New("the answer shows " + word + ": " + string(shown))
		}
	}
	return nil
}

// kind is the error's type, "" of a result.
func (a answer) kind() string { s, _ := a.err["type"].(string); return s }

// message is the error's.
func (a answer) message() string { s, _ := a.err["message"].(string); return s }

// stdout is what the run printed.
func (a answer) stdout() string { s, _ := a.body["stdout"].(string); return s }

// result checks that the run succeeded and gives what main returned.
func (a answer) result(t testing.TB) any {
	t.Helper()
	if a.status != http.StatusOK || a.err != nil {
		t.Errorf("status %d, want a result: %s", a.status, strictjson.Cut(a.text, 600))
	}
	return a.body["result"]
}

// want compares the result with JSON text.
func (a answer) want(t testing.TB, result string) {
	t.Helper()
	wanted, err := strictjson.Parse([]byte(result))
	if err != nil {
		t.Fatal(err)
	}
	if diff := strictjson.Diff(wanted, a.result(t), 0); diff != "" {
		t.Error(diff)
	}
}

// fails checks status and type of a failure.
func (a answer) fails(t testing.TB, status int, kind string) {
	t.Helper()
	if a.status != status || a.kind() != kind {
		t.Errorf("%d %q, want %d %q: %s", a.status, a.kind(), status, kind, strictjson.Cut(a.text, 600))
	}
}

// indent makes the lines the body of main.
func inMain(lines ...string) string {
	return "def main():\n    " + strings.ReplaceAll(strings.Join(lines, "\n"), "\n", "\n    ") + "\n"
}

// busy is a script that can be seen from outside while it runs: by its
// threads. It prints a line first and returns "done" after some seconds.
func busy(seconds float64) string {
	return inMain(
		"import threading, time",
		"print('begun', flush=True)",
		"end = threading.Event()",
		"for _ in range("+strconv.Itoa(busyThreads)+"): threading.Thread(target=end.wait).start()",
		"time.sleep("+strconv.FormatFloat(seconds, 'f', -1, 64)+")",
		"end.set()",
		"return 'done'")
}

const busyThreads = 7

// busyRuns counts the busy scripts that run below a server now.
func busyRuns(server *e2etest.Server) int {
	n := 0
	for _, p := range server.Processes() {
		if p.Threads > busyThreads && p.Name != "pyexec" {
			n++
		}
	}
	return n
}

// awaitBusy waits until n busy scripts run.
func awaitBusy(t testing.TB, server *e2etest.Server, n int) {
	t.Helper()
	eventually(t, 20*time.Second, func() bool { return busyRuns(server) == n })
}

// eventually waits for a condition and fails the test when it does not come.
func eventually(t testing.TB, within time.Duration, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(within)
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatalf("it did not come within %v", within)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// zygote is the process that all others below a server are forked from: the
// child of nsjail, or of the server where there is no nsjail.
func zygote(t testing.TB, server *e2etest.Server) e2etest.Process {
	t.Helper()
	var found e2etest.Process
	eventually(t, 10*time.Second, func() bool { // one that was killed is being replaced
		all := server.Snapshot().Processes
		parent := server.Pid
		for _, p := range all {
			if p.Name == "nsjail" {
				parent = p.Pid
			}
		}
		i := slices.IndexFunc(all, func(p e2etest.Process) bool { return p.Parent == parent })
		if i >= 0 {
			found = all[i]
		}
		return i >= 0
	})
	return found
}

// groups are the cgroups that carry the server's pid.
func groups(server *e2etest.Server) []string {
	var found []string
	for _, pattern := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/memory", "/sys/fs/cgroup/pids"} {
		_ = filepath.WalkDir(pattern, func(path string, d os.DirEntry, err error) error {
			if err == nil && d.IsDir() && strings.HasPrefix(d.Name(), "pyexec-") && strings.Contains(d.Name(), "-"+strconv.Itoa(server.Pid)+"-") {
				found = append(found, path)
			}
			return nil
		})
	}
	return found
}

// leaving sends a request whose connection the returned function ends.
func leaving(t testing.TB, url, source string) func() {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if a, err := try(ctx, url, request{"script": source}); err == nil {
			t.Errorf("an answer came before the client left: %s", a.text)
		}
	}()
	return func() { cancel(); <-done }
}
