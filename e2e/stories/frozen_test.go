package stories

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/python-code-executor/pyexec/e2e/e2etest"
)

const (
	hello = "def main():\n    print('hi')\n    return 42"
	// slow is over its limit by far.
	slow = "import time\ndef main():\n    time.sleep(30)\n    return 1"
)

// signalAll sends a signal to the server and everything below it, as Cloud Run
// takes the CPU from a whole instance.
func signalAll(t *testing.T, server *e2etest.Server, signal unix.Signal) {
	t.Helper()
	for _, p := range e2etest.Tree(server.Pid) {
		_ = unix.Kill(p.Pid, signal) // it may just have ended
	}
	if err := server.Signal(signal); err != nil {
		t.Fatal(err)
	}
}

// right runs a script that must be answered right, and one that must end by
// its own limit within the second that the contract allows.
func right(t *testing.T, server *e2etest.Server, limit time.Duration) {
	t.Helper()
	if a := execute(t, server.BaseURL, request{"script": hello}); a.status != 200 || a.text != `{"result":42,"stdout":"hi\n"}` {
		t.Fatalf("%d %s", a.status, a.text)
	}
	if limit == 0 {
		return
	}
	a := execute(t, server.BaseURL, request{"script": slow, "timeout_ms": limit.Milliseconds()})
	if a.err["type"] != "timeout" || a.took > limit+time.Second {
		t.Fatalf("after %v, limit %v: %d %s", a.took, limit, a.status, a.text)
	}
}

// TestFrozenBetweenRequests stops the whole server as soon as each answer is
// there, when the next child has not been made yet, and lets it go on with
// the next request: nothing depends on work in between, and no clock that ran
// meanwhile ends anything.
func TestFrozenBetweenRequests(t *testing.T) {
	server := start(t, "--ready=1", "--concurrency=2")
	before := server.Settle()
	for round := range 12 {
		limit := time.Duration(0)
		if round%4 == 0 {
			limit = 500 * time.Millisecond
		}
		right(t, server, limit)
		signalAll(t, server, unix.SIGSTOP)
		pause := 50 * time.Millisecond
		if round%4 == 3 {
			pause = 4 * time.Second // longer than /health believes an answer
		}
		time.Sleep(pause) // not to wait for something: the time that passes is what is tested
		signalAll(t, server, unix.SIGCONT)
	}
	if a := get(t, server.BaseURL+"/health"); a.status != 200 {
		t.Errorf("/health after it: %d %s", a.status, a.text)
	}
	server.AssertClean(t, before)
}

// TestWithoutCPUBetweenRequests lets the server have a twentieth of a CPU
// between requests, and all of it during them.
func TestWithoutCPUBetweenRequests(t *testing.T) {
	group := cpuGroup(t)
	server := start(t, "--ready=1", "--concurrency=2")
	before := server.Settle()
	// Children are born in the group of their parent.
	for _, p := range append(e2etest.Tree(server.Pid), e2etest.Process{Pid: server.Pid}) {
		_ = os.WriteFile(filepath.Join(group.dir, "cgroup.procs"), []byte(strconv.Itoa(p.Pid)), 0)
	}
	for round := range 10 {
		group.quota(t, -1)
		limit := time.Duration(0)
		if round%5 == 0 {
			limit = 500 * time.Millisecond
		}
		right(t, server, limit)
		group.quota(t, 5_000)
		time.Sleep(200 * time.Millisecond) // the time that passes is what is tested
	}
	// Even a request that has a tenth of a CPU is answered right.
	group.quota(t, 10_000)
	right(t, server, 0)
	group.quota(t, -1)
	server.AssertClean(t, before)
}

type quotaGroup struct{ dir, file, period string }

// quota is how many microseconds of each 100 ms the group may have; -1 is any.
func (g quotaGroup) quota(t *testing.T, microseconds int) {
	t.Helper()
	text := strconv.Itoa(microseconds) + g.period
	if microseconds < 0 && g.period != "" {
		text = "max" + g.period
	}
	if err := os.WriteFile(filepath.Join(g.dir, g.file), []byte(text), 0); err != nil {
		t.Fatal(err)
	}
}

// cpuGroup makes a cgroup with a CPU quota, of v2 or v1.
func cpuGroup(t *testing.T) quotaGroup {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("NOT TESTED: a CPU quota needs root")
	}
	for _, g := range []quotaGroup{
		{"/sys/fs/cgroup/pyexec-quota", "cpu.max", " 100000"},
		{"/sys/fs/cgroup/cpu/pyexec-quota", "cpu.cfs_quota_us", ""},
		{"/sys/fs/cgroup/cpu,cpuacct/pyexec-quota", "cpu.cfs_quota_us", ""},
	} {
		g.dir += "-" + strconv.Itoa(os.Getpid())
		if os.Mkdir(g.dir, 0o755) != nil {
			continue
		}
		if _, err := os.Stat(filepath.Join(g.dir, g.file)); err != nil {
			_ = os.Remove(g.dir)
			continue
		}
		t.Cleanup(func() { // the server has ended, whose clean-up runs before
			if text, err := os.ReadFile(filepath.Join(g.dir, "cgroup.procs")); err != nil || strings.TrimSpace(string(text)) != "" {
				t.Errorf("processes of the server are left: %s, %v", text, err)
			}
			if err := os.Remove(g.dir); err != nil {
				t.Error(err)
			}
		})
		return g
	}
	t.Skip("NOT TESTED: this machine has no cgroup with a CPU quota")
	return quotaGroup{}
}
