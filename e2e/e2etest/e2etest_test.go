package e2etest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestFindAddr(t *testing.T) {
	for line, want := range map[string]string{
		`{"time":"x","level":"INFO","msg":"serving","addr":"127.0.0.1:4711"}`:      "127.0.0.1:4711",
		`{"msg":"serving","addr":"127.0.0.1:4711","level":"full"}`:                 "127.0.0.1:4711",
		"noise\n" + `time=x level=INFO msg=serving addr=127.0.0.1:4711 level=full`: "127.0.0.1:4711",
		`time=x msg="serving requests" addr="http://127.0.0.1:4711"`:               "127.0.0.1:4711",
		`{"msg":"starting","addr":"127.0.0.1:0"}`:                                  "",
		"": "",
	} {
		if got := findAddr([]byte(line)); got != want {
			t.Errorf("findAddr(%s) = %q, want %q", line, got, want)
		}
	}
}

func TestParseStatWithAwkwardName(t *testing.T) {
	p, ok := parseStat([]byte("42 (a) Z (b) S 7 1 1 0 -1 4 0 0 0 0 3 4 0 0 20 0 1 0 99 0 0 0"))
	if !ok || p.Pid != 42 || p.Name != "a) Z (b" || p.State != 'S' || p.Parent != 7 || p.Ticks != 7 || p.Start != 99 {
		t.Errorf("parseStat = %+v, %v", p, ok)
	}
}

// fakeServer is a process of our own in the place of the real one.
func fakeServer(t *testing.T, script string) *Server {
	t.Helper()
	path := filepath.Join(t.TempDir(), "fake")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); _ = cmd.Wait() })
	return &Server{Pid: cmd.Process.Pid, Started: time.Now()}
}

func TestSnapshotSeesDescendants(t *testing.T) {
	s := fakeServer(t, "sh -c 'read x <&3' 3<&0 & read y\n")
	deadline := time.Now().Add(2 * time.Second)
	for len(s.Snapshot().Processes) != 1 && time.Now().Before(deadline) {
		time.Sleep(10 * time.Millisecond)
	}
	shot := s.Snapshot()
	if len(shot.Processes) != 1 || len(shot.FDs) == 0 || shot.Mounts == 0 || len(shot.Namespaces) < 5 {
		t.Errorf("snapshot %v", shot)
	}
	less := shot
	less.Processes = nil
	err := s.Leftovers(less)
	if err == nil || !strings.Contains(err.Error(), "1 processes, before 0") {
		t.Errorf("Leftovers = %v, want the one process named", err)
	}
	s.AssertClean(t, shot)
}

func TestLaunchTellsWhyAServerDied(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fake")
	if err := os.WriteFile(path, []byte("#!/bin/sh\necho no python here\nexit 3\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TEST_BINARY", path)
	_, err := Launch(t.Context(), Config{})
	if err == nil || !strings.Contains(err.Error(), "no python here") || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("Launch = %v", err)
	}
}
