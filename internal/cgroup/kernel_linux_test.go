package cgroup_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/python-code-executor/pyexec"
	"github.com/python-code-executor/pyexec/internal/cgroup"
)

// open gives the machine's own cgroups. Only off CI may a machine without any
// skip these tests.
func open(t *testing.T) *cgroup.Manager {
	t.Helper()
	m, err := cgroup.Open(cgroup.Options{})
	if err != nil {
		if os.Getenv("CI") != "" && os.Geteuid() == 0 {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
		if n := m.Leftovers(); n != 0 {
			t.Errorf("%d groups left over", n)
		}
	})
	return m
}

const joined = "PYEXEC_TEST_CGROUP_MEMBER"

// TestMain lets the test binary play the process in the group: it joins by the
// descriptors it inherits from 3 on, as many as there are plus signs, then does what the variable says.
func TestMain(m *testing.M) {
	what := os.Getenv(joined)
	if what == "" {
		os.Exit(m.Run())
	}
	what, fds, _ := strings.Cut(what, " ")
	for i := range fds {
		if _, err := os.NewFile(uintptr(3+i), "cgroup.procs").WriteString("0"); err != nil {
			os.Stderr.WriteString("join: " + err.Error())
			os.Exit(3)
		}
	}
	switch what {
	case "hoard": // memory that the kernel itself fills, so that the race detector adds none
		zero, err := os.Open("/dev/zero")
		if err != nil {
			os.Exit(4)
		}
		for range 256 {
			m, err := unix.Mmap(-1, 0, 1<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
			if err != nil {
				os.Exit(5)
			}
			if _, err := zero.Read(m); err != nil {
				os.Exit(6)
			}
		}
		os.Stdout.WriteString("kept")
	case "hang":
		os.Stdout.WriteString("joined\n")
		time.Sleep(time.Minute)
	case "processes":
		for range 16 {
			_ = exec.Command("/bin/sleep", "0.3").Start()
		}
	}
	os.Exit(0)
}

func member(g *cgroup.Group, what string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), joined+"="+what+" "+strings.Repeat("+", len(g.ProcsFiles())))
	cmd.ExtraFiles = g.ProcsFiles()
	return cmd
}

func TestMemoryLimitKillsTheHoarderAndCountsIt(t *testing.T) {
	m := open(t)
	g, err := m.New("hoard", cgroup.Limits{Memory: 64 * pyexec.MiB})
	if err != nil {
		t.Fatal(err)
	}
	out, err := member(g, "hoard").CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatalf("256 MiB in a group of 64 MiB: %v, %s", err, out)
	}
	s, err := g.Stats()
	if err != nil {
		t.Fatal(err)
	}
	if s.OOMKills < 1 || s.PeakMemory < 48*pyexec.MiB || s.PeakMemory > 64*pyexec.MiB {
		t.Errorf("stats after an OOM kill: %+v", s)
	}

	// The twin: the same group, a larger limit, and the same process lives.
	if err := g.SetMemory(600 * pyexec.MiB); err != nil {
		t.Fatal(err)
	}
	if err := g.Reset(); err != nil {
		t.Fatal(err)
	}
	if s, err = g.Stats(); err != nil || s.OOMKills != 0 || s.PeakMemory > 40*pyexec.MiB {
		t.Errorf("stats after Reset: %+v, %v", s, err)
	}
	if out, err := member(g, "hoard").CombinedOutput(); err != nil || string(out) != "kept" {
		t.Errorf("256 MiB in a group of 600 MiB: %v, %s", err, out)
	}
	if s, err = g.Stats(); err != nil || s.OOMKills != 0 || s.PeakMemory < 240*pyexec.MiB { // charges are counted in batches for each CPU
		t.Errorf("stats of the second run: %+v, %v", s, err)
	}
	if err := g.SetMemory(64 * pyexec.MiB); err != nil {
		t.Errorf("lower again: %v", err)
	}
}

func TestKillAndCloseEndWhatRuns(t *testing.T) {
	m := open(t)
	g, err := m.New("hang", cgroup.Limits{Memory: 128 * pyexec.MiB})
	if err != nil {
		t.Fatal(err)
	}
	cmd := member(g, "hang")
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := pipe.Read(make([]byte, 8)); err != nil {
		t.Fatal(err)
	}
	dir := g.Dir()
	start := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	if err := g.Close(ctx); err != nil {
		t.Error(err)
	}
	if err := <-done; err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("the process ended by %v", err)
	}
	t.Logf("%s after %v", dir, time.Since(start))
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there", dir)
	}
	if err := g.Close(ctx); err != nil {
		t.Errorf("a second Close: %v", err)
	}
}

func TestProcessLimitRefusesAndCountsIt(t *testing.T) {
	m := open(t)
	if !m.Has("pids") {
		t.Skip("no pids controller")
	}
	g, err := m.New("processes", cgroup.Limits{Memory: 128 * pyexec.MiB, PIDs: 12})
	if err != nil {
		t.Fatal(err)
	}
	_ = member(g, "processes").Run()
	if s, err := g.Stats(); err != nil || s.PIDsRefused == 0 {
		t.Errorf("stats: %+v, %v", s, err)
	}
}

func BenchmarkStats(b *testing.B) {
	m, err := cgroup.Open(cgroup.Options{})
	if err != nil {
		b.Skip(err)
	}
	defer m.Close()
	g, err := m.New("bench", cgroup.Limits{Memory: 64 * pyexec.MiB})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := g.Stats(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkNewClose(b *testing.B) {
	m, err := cgroup.Open(cgroup.Options{})
	if err != nil {
		b.Skip(err)
	}
	defer m.Close()
	for b.Loop() {
		g, err := m.New("bench", cgroup.Limits{Memory: 64 * pyexec.MiB})
		if err != nil {
			b.Fatal(err)
		}
		if err := g.Close(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
}
