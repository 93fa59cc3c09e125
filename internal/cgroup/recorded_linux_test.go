package cgroup

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/python-code-executor/pyexec"
)

const service = "sys/fs/cgroup/system.slice/pyexec.service"

// machine copies the recorded tree and plays the kernel over it: new groups
// have the files of testdata/v2/group, and no group that holds processes may
// switch controllers on.
func machine(t *testing.T) (Options, string) {
	t.Helper()
	root := t.TempDir()
	if err := os.CopyFS(root, os.DirFS("testdata/v2/machine")); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(root, "proc/self/ns"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("pid:[4026531836]", filepath.Join(root, "proc/self/ns/pid")); err != nil {
		t.Fatal(err)
	}
	k := &kernel{
		mkdir: func(dir string) error {
			if isDir(dir) {
				return unix.EEXIST
			}
			return os.CopyFS(dir, os.DirFS("testdata/v2/group"))
		},
		rmdir: func(dir string) error {
			if pids, _ := words(filepath.Join(dir, "cgroup.procs")); len(pids) > 0 {
				return unix.EBUSY
			}
			return os.RemoveAll(dir)
		},
	}
	k.write = func(file, value string) error {
		dir, procs := filepath.Dir(file), filepath.Join(filepath.Dir(file), "cgroup.procs")
		switch filepath.Base(file) {
		case "cgroup.subtree_control":
			if pids, _ := words(procs); len(pids) > 0 {
				return unix.EBUSY
			}
			on, _ := words(file)
			return write(file, strings.Join(append(on, strings.TrimPrefix(value, "+")), " "))
		case "cgroup.procs": // from the parent into the leaf
			from := filepath.Join(filepath.Dir(dir), "cgroup.procs")
			pids, _ := words(from)
			here, _ := words(file)
			pids = slices.DeleteFunc(pids, func(p string) bool { return p == value })
			return errors.Join(write(from, strings.Join(pids, "\n")), write(file, strings.Join(append(here, value), "\n")))
		case "cgroup.kill":
			return errors.Join(write(file, value), os.WriteFile(procs, nil, 0o644))
		}
		return write(file, value)
	}
	return Options{Root: root, kernel: k}, root
}

func put(t *testing.T, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func firstLine(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(string(b), "\n")
	return line
}

func openV2(t *testing.T) (*Manager, string) {
	t.Helper()
	o, root := machine(t)
	m, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return m, root
}

func TestV2MovesTheServerIntoALeafAndSwitchesControllersOn(t *testing.T) {
	m, root := openV2(t)
	if m.Version() != 2 || !m.Has("memory") || !m.Has("pids") || !m.Has("cpu") {
		t.Errorf("%v", m)
	}
	base := filepath.Join(root, service)
	if got, _ := words(filepath.Join(base, "cgroup.subtree_control")); !slices.Equal(got, []string{"memory", "pids", "cpu"}) {
		t.Errorf("subtree_control: %v", got)
	}
	if got, _ := words(filepath.Join(base, leafName, "cgroup.procs")); !slices.Equal(got, []string{"812", "830"}) {
		t.Errorf("in the leaf: %v", got)
	}
	if n := m.Leftovers(); n != 0 {
		t.Errorf("%d groups are left from probing", n)
	}

	// A second server, started from the leaf of the first, finds its way up.
	put(t, filepath.Join(root, "proc/self/cgroup"), "0::/system.slice/pyexec.service/"+leafName+"\n")
	o, _ := machine(t)
	again, err := Open(Options{Root: root, kernel: o.kernel})
	if err != nil || again.parents["memory"] != base {
		t.Errorf("%v, %v", again, err)
	}
}

func TestV2GroupHasEveryLimit(t *testing.T) {
	m, _ := openV2(t)
	g, err := m.New("slot", Limits{Memory: 512 * pyexec.MiB, PIDs: 70, CPUs: 1.5})
	if err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{
		"memory.max": "536870912", "memory.swap.max": "0", "memory.oom.group": "1", "pids.max": "70", "cpu.max": "150000 100000",
	} {
		if got := firstLine(t, filepath.Join(g.Dir(), file)); got != want {
			t.Errorf("%s: %q, want %q", file, got, want)
		}
	}
	if len(g.ProcsFiles()) != 1 {
		t.Errorf("%d files to join by, one hierarchy has one", len(g.ProcsFiles()))
	}
	if err := g.SetMemory(64 * pyexec.MiB); err != nil {
		t.Error(err)
	}
	if got := firstLine(t, filepath.Join(g.Dir(), "memory.max")); got != "67108864" {
		t.Errorf("memory.max: %q", got)
	}
	soft, err := m.New("soft", Limits{Memory: pyexec.MiB, SurviveOOM: true})
	if err != nil {
		t.Fatal(err)
	}
	if got := firstLine(t, filepath.Join(soft.Dir(), "memory.oom.group")); got != "0" {
		t.Errorf("memory.oom.group: %q", got)
	}
	if m.Leftovers() != 2 {
		t.Errorf("%d groups, two were made", m.Leftovers())
	}
	if err := m.Close(); err != nil || m.Leftovers() != 0 {
		t.Errorf("after Close: %d groups, %v", m.Leftovers(), err)
	}
}

func TestV2StatsCountFromReset(t *testing.T) {
	m, _ := openV2(t)
	g, err := m.New("slot", Limits{Memory: 512 * pyexec.MiB, PIDs: 70})
	if err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(g.Dir(), "memory.current"), "4096\n")
	put(t, filepath.Join(g.Dir(), "memory.peak"), "1048576\n")
	put(t, filepath.Join(g.Dir(), "memory.events"), "low 0\nhigh 0\nmax 9\noom 2\noom_kill 3\noom_group_kill 1\n")
	put(t, filepath.Join(g.Dir(), "pids.events"), "max 5\n")
	want := Stats{PeakMemory: pyexec.MiB, CurrentMemory: 4096, OOMKills: 3, PIDsRefused: 5}
	if s, err := g.Stats(); err != nil || s != want {
		t.Errorf("%+v, %v", s, err)
	}
	if err := g.Reset(); err != nil {
		t.Fatal(err)
	}
	if s, err := g.Stats(); err != nil || s != (Stats{PeakMemory: 4096, CurrentMemory: 4096}) {
		t.Errorf("after Reset: %+v, %v", s, err)
	}
}

// Before 6.12 the peak cannot be reset, before 5.19 there is none.
func TestV2OfOlderKernels(t *testing.T) {
	m, _ := openV2(t)
	g, err := m.New("old", Limits{Memory: 512 * pyexec.MiB})
	if err != nil {
		t.Fatal(err)
	}
	g.peakResets = false
	put(t, filepath.Join(g.Dir(), "memory.peak"), "9000000\n")
	put(t, filepath.Join(g.Dir(), "memory.current"), "5000\n")
	if err := g.Reset(); err != nil {
		t.Fatal(err)
	}
	if s, _ := g.Stats(); s.PeakMemory != 5000 {
		t.Errorf("peak %v: an earlier run's", s.PeakMemory)
	}
	put(t, filepath.Join(g.Dir(), "memory.peak"), "9500000\n")
	if s, _ := g.Stats(); s.PeakMemory != 9500000 {
		t.Errorf("peak %v: this run went above all earlier ones", s.PeakMemory)
	}
	_ = g.peak.Close()
	g.peak = nil
	if s, err := g.Stats(); err != nil || s.PeakMemory != 0 {
		t.Errorf("no memory.peak: %+v, %v", s, err)
	}
}

func TestV2KillUsesTheKernelsOwn(t *testing.T) {
	m, _ := openV2(t)
	g, err := m.New("hang", Limits{Memory: pyexec.MiB})
	if err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(g.Dir(), "cgroup.procs"), "4194300\n")
	start := time.Now()
	if err := g.Close(t.Context()); err != nil || time.Since(start) > time.Second {
		t.Errorf("%v after %v", err, time.Since(start))
	}
	if isDir(g.Dir()) {
		t.Error("still there")
	}
}

func TestSweepTakesTheDeadOnly(t *testing.T) {
	m, root := openV2(t)
	base := filepath.Join(root, service)
	put(t, filepath.Join(root, "proc/900/stat"), "900 (pyexec) S 1 1 1 0 -1 1 1 0 0 0 0 0 0 0 20 0 9 0 777 1 1")
	names := map[string]bool{ // name → dead
		"pyexec-4026531836-899-5-slot-1":   true,  // no such process
		"pyexec-4026531836-900-776-slot-1": true,  // the number belongs to another now
		"pyexec-4026531836-900-777-slot-1": false, // lives
		"pyexec-4026530000-899-5-slot-1":   false, // of another pid namespace
		"pyexec-nonsense":                  false,
		"other-4026531836-899-5-slot-1":    false,
	}
	for name := range names {
		if err := m.kernel.mkdir(filepath.Join(base, name)); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := m.Sweep(t.Context()); n != 2 || err != nil {
		t.Errorf("%d removed, %v", n, err)
	}
	for name, dead := range names {
		if isDir(filepath.Join(base, name)) == dead {
			t.Errorf("%s: dead %v, and still there %v", name, dead, !dead)
		}
	}
	if !isDir(filepath.Join(base, leafName)) {
		t.Error("swept its own leaf")
	}
}

func TestWhyNothingIsUsable(t *testing.T) {
	tests := map[string]struct {
		change func(t *testing.T, o *Options, root string)
		want   string
	}{
		"no memory controller": {func(t *testing.T, _ *Options, root string) {
			put(t, filepath.Join(root, service, "cgroup.controllers"), "cpuset hugetlb\n")
		}, "no memory controller (it has: cpuset hugetlb): under systemd set Delegate=yes"},
		"read-only": {func(_ *testing.T, o *Options, _ string) {
			o.kernel.mkdir = func(dir string) error { return &os.PathError{Op: "mkdir", Path: dir, Err: unix.EROFS} }
		}, "mounted read-only, as containers have it"},
		"no permission": {func(_ *testing.T, o *Options, _ string) {
			o.kernel.mkdir = func(dir string) error { return &os.PathError{Op: "mkdir", Path: dir, Err: unix.EACCES} }
		}, "no permission to make or limit groups"},
		"limits cannot be written": {func(_ *testing.T, o *Options, _ string) {
			o.kernel.write = func(string, string) error { return unix.EPERM }
		}, "no permission to make or limit groups"},
		"not mounted": {func(t *testing.T, _ *Options, root string) {
			put(t, filepath.Join(root, "proc/self/mountinfo"), "28 1 254:1 / / rw - ext4 /dev/vda1 rw\n")
		}, "no unified hierarchy is mounted"},
		"no proc": {func(t *testing.T, _ *Options, root string) {
			if err := os.Remove(filepath.Join(root, "proc/self/cgroup")); err != nil {
				t.Fatal(err)
			}
		}, "proc/self/cgroup"},
		"parent that is not there": {func(_ *testing.T, o *Options, _ string) {
			o.Parent = "/sys/fs/cgroup/nowhere"
		}, "a file that the controller should have is not there"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			o, root := machine(t)
			tt.change(t, &o, root)
			m, err := Open(o)
			if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, %v; want %q", m, err, tt.want)
			}
		})
	}
}

func TestConfiguredParent(t *testing.T) {
	o, root := machine(t)
	parent := filepath.Join(root, "sys/fs/cgroup/given")
	if err := o.kernel.mkdir(parent); err != nil {
		t.Fatal(err)
	}
	o.Parent = "/sys/fs/cgroup/given"
	m, err := Open(o)
	if err != nil || m.parents["memory"] != parent {
		t.Fatalf("%v, %v", m, err)
	}
	if got, _ := words(filepath.Join(root, service, "cgroup.procs")); len(got) != 2 {
		t.Error("processes were moved although groups are made elsewhere")
	}
}

// Where a machine has both, v1 is taken when v2 has no memory controller; a
// container sees only its own part of a hierarchy.
func TestPlacesOfV1(t *testing.T) {
	_, root := machine(t)
	for _, d := range []string{"memory/user/me", "cpu,cpuacct", "unified"} {
		if err := os.MkdirAll(filepath.Join(root, "sys/fs/cgroup", d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	put(t, filepath.Join(root, "proc/self/cgroup"), "4:memory:/user/me\n3:pids:/a\n2:cpu,cpuacct:/docker/abc\n1:name=systemd:/\n0::/\n")
	put(t, filepath.Join(root, "proc/self/mountinfo"), `
40 24 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
41 24 0:31 /docker/abc /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct
42 24 0:32 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
43 24 0:33 /x\040y /sys/fs/cgroup/with\040space rw - cgroup cgroup rw,pids
`)
	p, err := readPlaces(root)
	if err != nil {
		t.Fatal(err)
	}
	at := func(dir string) string { return filepath.Join(root, "sys/fs/cgroup", dir) }
	if p.v1["memory"] != at("memory/user/me") || p.v1["cpu"] != at("cpu,cpuacct") || p.v1["pids"] != "" || p.unified != at("unified") {
		t.Errorf("%+v", p)
	}
}
