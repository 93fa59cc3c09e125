package stories

import (
	"bytes"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/python-code-executor/pyexec/e2e/e2etest"
)

// kinds are runs of every kind of end, with the error types that they may
// have; "" is a result.
var kinds = []struct {
	name string
	req  request
	ends []string
}{
	{"good", script(inMain("print(1)", "return 1")), []string{""}},
	{"numpy", script("import numpy\n" + inMain("return numpy.ones(9).sum()")), []string{""}},
	{"pandas", script("import pandas\n" + inMain("return pandas.Series([1]).sum()")), []string{""}},
	{"files", request{"script": inMain("import os; os.mkdir('output'); open('output/x', 'w').write('x'); return 1"), "details": true, "files": []any{map[string]string{"path": "a/b", "content": "x"}}}, []string{""}},
	{"unread stdin", request{"script": inMain("return 1"), "stdin": strings.Repeat("x", 300_000)}, []string{""}},
	{"syntax", script("def"), []string{"syntax_error"}},
	{"policy", script(inMain("return eval('1')")), []string{"policy_violation"}},
	{"exception", script(inMain("raise ValueError", "return 1")), []string{"exception"}},
	{"exit", script(inMain("raise SystemExit(3)", "return 1")), []string{"exited"}},
	{"_exit", script("import os\n" + inMain("os._exit(3)", "return 1")), []string{"exited"}},
	{"abort", script("import os\n" + inMain("os.abort()", "return 1")), []string{"killed"}},
	{"kill", script("import signal\n" + inMain("signal.raise_signal(9)", "return 1")), []string{"killed"}},
	{"result", script(inMain("return {1}")), []string{"invalid_result"}},
	{"large result", script(inMain("return 'x' * (9 << 20)")), []string{"output_limit"}},
	{"timeout", request{"script": inMain("while True: pass"), "timeout_ms": 200}, []string{"timeout"}},
	{"threads", request{"script": inMain("import threading, time", "for _ in range(300): threading.Thread(target=time.sleep, args=(60,)).start()", "return 1"), "timeout_ms": 300}, []string{"exception", "timeout"}},
	{"memory", request{"script": inMain("b = []", "while True: b.append(bytearray(b'x') * (1 << 20))"), "memory_mb": 64}, []string{"memory_limit"}},
	{"disk", script(inMain("for i in range(5000): open(f'/tmp/{i}', 'w').close()", "return 1")), []string{"disk_limit"}},
	{"prints", request{"script": inMain("while True: print('x' * 9999)"), "timeout_ms": 200}, []string{"timeout"}},
	{"frames", script("import os\n" + inMain("os.write(3, b'R' + b'\\xff' * 99)", "return 1")), []string{"invalid_result", ""}},
	{"closed pipes", request{"script": "import os\n" + inMain("os.closerange(0, 64)", "while True: pass"), "timeout_ms": 500}, []string{"timeout", "exited", "invalid_result"}},
	{"descriptors", script("import os, socket\n" + inMain("kept = []", "try:", "    while True: kept += socket.socketpair()", "except OSError: return 1")), []string{""}},
	{"many names", script("import os\n" + inMain("path = '/tmp'", "for _ in range(60):", "    path += '/d'; os.mkdir(path)", "os.symlink('/', path + '/l')", "os.mkfifo(path + '/f')", "return 1")), []string{"", "exception"}},
}

// TestNothingRemains: after any run, good or bad, no process, file, cgroup,
// descriptor or namespace of it is left.
func TestNothingRemains(t *testing.T) {
	t.Parallel()
	server := start(t, "--timeout=5s") // of a machine with other work, to come to the limits of memory and disk
	before := server.Settle()
	if _, layers := layersOf(t, server); len(before.Cgroups) == 0 {
		if layer, _ := layers["cgroup"].(map[string]any); layer["active"] == true {
			t.Error("the server has cgroups, and none is found by its pid: none that is left would be")
		}
	}
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			for range 2 {
				a := execute(t, server.BaseURL, k.req)
				if !slices.Contains(k.ends, a.kind()) {
					t.Errorf("%d %s, want %q", a.status, a.text, k.ends)
				}
			}
			server.AssertClean(t, before)
		})
	}
}

// TestSoak: many runs of all kinds at once, with the zygote killed now and
// then. Each has exactly one answer, and nothing is left of any.
func TestSoak(t *testing.T) {
	t.Parallel()
	const runs, clients = 300, 8
	log := &lockedBuffer{}
	server := launch(t, e2etest.Config{Args: []string{"--timeout=5s"}, Log: log})
	before := server.Settle()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	var next, lost atomic.Int64
	var all sync.WaitGroup
	for c := range clients {
		random := rand.New(rand.NewPCG(seed, uint64(c)))
		all.Go(func() {
			for next.Add(1) <= runs {
				k := kinds[random.IntN(len(kinds))]
				a, err := try(t.Context(), server.BaseURL, k.req)
				switch {
				case err != nil:
					t.Errorf("%s: %v", k.name, err)
				case a.kind() == "unavailable" && a.err["started"] == true:
					lost.Add(1)
				case !slices.Contains(k.ends, a.kind()):
					t.Errorf("%s: %d %.400s, want %q", k.name, a.status, a.text, k.ends)
				}
			}
		})
	}
	for kill := range int64(3) {
		eventually(t, time.Minute, func() bool { return next.Load() > runs/4*(kill+1) })
		_ = syscall.Kill(zygote(t, server).Pid, syscall.SIGKILL)
	}
	all.Wait()
	if n := lost.Load(); n > 3*clients {
		t.Errorf("%d runs were lost by 3 crashes with %d runs at once", n, clients)
	}
	server.Settle()
	server.AssertClean(t, before)
	if grown := e2etest.RSS(server.Pid); grown > 200<<20 {
		t.Errorf("the server holds %d MB", grown>>20)
	}
	noRunRemains(t, server, log)
}

// noRunRemains ends the server by SIGQUIT, at which Go shows all goroutines:
// none may still be about a run.
func noRunRemains(t *testing.T, server *e2etest.Server, log *lockedBuffer) {
	t.Helper()
	before := server.Snapshot()
	client.CloseIdleConnections()
	if err := server.Signal(syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	<-server.Exited()
	stacks := regexp.MustCompile(`(?m)^goroutine \d+.*:\n(?:.+\n)*`).FindAllString(log.String(), -1)
	if len(stacks) < 5 {
		t.Fatalf("%d goroutines in the log", len(stacks))
	}
	for _, stack := range stacks {
		for _, name := range []string{"jail.(*run)", "jail.collect", "wire.ReadOutcome", "pool.(*Pool).Execute", "admission.(*Admission).Execute"} {
			if strings.Contains(stack, name) {
				t.Errorf("a goroutine of a run remains:\n%s", stack)
			}
		}
	}
	t.Logf("%d goroutines", len(stacks))
	eventually(t, 2*time.Second, func() bool { return len(survivors(before)) == 0 })
	for _, dir := range directories(server) {
		_ = os.RemoveAll(dir) // the next server would do that
	}
}

// lockedBuffer is a log that is read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements io.Writer.
func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// String implements fmt.Stringer.
func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
