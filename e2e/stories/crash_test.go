package stories

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/python-code-executor/pyexec/e2e/e2etest"
)

// exited waits for the server's end and checks its status.
func exited(t *testing.T, server *e2etest.Server, status int) {
	t.Helper()
	select {
	case <-server.Exited():
	case <-time.After(15 * time.Second):
		t.Fatal("the server did not exit")
	}
	got := 0
	var failed *exec.ExitError
	if errors.As(server.ExitErr(), &failed) {
		got = failed.ExitCode()
	}
	if got != status {
		t.Errorf("the server exited with %v, want status %d", server.ExitErr(), status)
	}
}

// nothingLeft checks that an ended server is survived by nothing of its own.
func nothingLeft(t *testing.T, server *e2etest.Server, before e2etest.Snapshot) {
	t.Helper()
	if left := survivors(before); len(left) > 0 {
		t.Errorf("processes outlive the server: %v", left)
	}
	if left := groups(server); len(left) > 0 {
		t.Errorf("cgroups are left: %v", left)
	}
	if left := directories(server); len(left) > 0 {
		t.Errorf("directories are left: %v", left)
	}
}

// survivors are the processes of a snapshot that exist still; zombies wait
// only for whoever reaps them.
func survivors(before e2etest.Snapshot) []e2etest.Process {
	var left []e2etest.Process
	for _, p := range before.Processes {
		text, err := os.ReadFile("/proc/" + strconv.Itoa(p.Pid) + "/stat")
		if err != nil {
			continue
		}
		fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
		if fields[0] != "Z" && fields[0] != "X" && fields[19] == strconv.FormatUint(p.Start, 10) {
			left = append(left, p)
		}
	}
	return left
}

// directories are the runtime directories of a server.
func directories(server *e2etest.Server) []string {
	found, _ := filepath.Glob(filepath.Join(os.TempDir(), "pyexec-*-"+strconv.Itoa(server.Pid)))
	return found
}

// TestZygoteKilled: with runs in flight and in line (row 108). The running
// ones are lost and say that they had begun; none of the others is.
func TestZygoteKilled(t *testing.T) {
	t.Parallel()
	server := start(t, "--concurrency=4")
	before := server.Settle()
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() { begun(t, execute(t, server.BaseURL, request{"script": busy(8)})) })
	}
	awaitBusy(t, server, 4)
	for _, source := range []string{"", "import numpy\n", "import pandas\n"} {
		for range 3 {
			all.Go(func() { execute(t, server.BaseURL, request{"script": source + inMain("return 1")}).want(t, "1") })
		}
	}
	time.Sleep(200 * time.Millisecond)
	if err := syscall.Kill(zygote(t, server).Pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	killed := time.Now()
	execute(t, server.BaseURL, request{"script": inMain("return 1")}).want(t, "1")
	t.Logf("a run that came after the crash was answered %v later", time.Since(killed))
	all.Wait()
	if health := get(t, server.BaseURL+"/health"); health.status != 200 {
		t.Errorf("/health after the crash: %d %s", health.status, health.text)
	}
	server.Settle() // the new zygote's packages are imported
	server.AssertClean(t, before)
}

// TestServerKilled: nothing of it or of any run survives a second later (row
// 109), and the next server takes away what a dead one cannot.
func TestServerKilled(t *testing.T) {
	t.Parallel()
	server := start(t, "--concurrency=3")
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			if a, err := try(t.Context(), server.BaseURL, request{"script": busy(9)}); err == nil {
				t.Errorf("an answer of a server that was killed: %s", a.text)
			}
		})
	}
	awaitBusy(t, server, 3)
	before := server.Snapshot()
	server.Kill()
	time.Sleep(time.Second)
	if left := survivors(before); len(left) > 0 {
		t.Errorf("processes outlive the server: %v", left)
	}
	all.Wait()
	if before.Cgroups == nil {
		t.Log("no cgroups here")
	}
	next := start(t)
	execute(t, next.BaseURL, request{"script": inMain("return 1")}).want(t, "1")
	nothingLeft(t, server, before)
	if len(directories(next)) != 1 {
		t.Errorf("the next server's own directory: %v", directories(next))
	}
}

// TestClientLeaves: a run without a client ends within a second, and its
// place is free.
func TestClientLeaves(t *testing.T) {
	t.Parallel()
	server := start(t, "--concurrency=1", "--queue=1")
	before := server.Settle()
	for range 3 {
		leave := leaving(t, server.BaseURL, busy(9))
		awaitBusy(t, server, 1)
		alsoInLine := leaving(t, server.BaseURL, busy(9))
		time.Sleep(50 * time.Millisecond)
		alsoInLine()
		leave()
		left := time.Now()
		eventually(t, time.Second, func() bool { return busyRuns(server) == 0 })
		eventually(t, time.Second-time.Since(left), func() bool {
			a := execute(t, server.BaseURL, request{"script": inMain("return 1")})
			return a.status == 200
		})
	}
	server.AssertClean(t, before)
}
