package cgroup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/python-code-executor/pyexec"
)

// flavour holds the file names in which v1 and v2 differ.
type flavour struct{ limit, peak, current, events string }

var flavours = map[int]flavour{
	1: {"memory.limit_in_bytes", "memory.max_usage_in_bytes", "memory.usage_in_bytes", "memory.oom_control"},
	2: {"memory.max", "memory.peak", "memory.current", "memory.events"},
}

// Group is the limits of one slot and the count of what it used. Its methods
// are for one goroutine at a time, except Kill and Close.
type Group struct {
	m    *Manager
	name string
	dirs []string // one on v2, one for each hierarchy on v1
	mem  string   // the one with the memory controller

	procs                            []*os.File
	limit, swap, peak, current, ooms *os.File
	pidsEvents                       *os.File
	baseOOMs, basePIDs, basePeak     int64 // at the last Reset
	peakResets                       bool
	limited                          pyexec.Bytes // by SetMemory; 0 when not known
	closeOnce                        sync.Once
}

// New makes a group with limits. Its name is for people; it is made unique.
func (m *Manager) New(name string, l Limits) (*Group, error) {
	g := &Group{m: m, name: fmt.Sprintf("%s%s-%d", m.prefix, name, m.serial.Add(1))}
	if err := g.make(l); err != nil {
		err = fmt.Errorf("make cgroup %s: %w", name, err)
		return nil, errors.Join(err, g.remove())
	}
	m.mu.Lock()
	m.groups[g] = true
	m.mu.Unlock()
	return g, nil
}

func (g *Group) make(l Limits) error {
	for _, c := range controllers {
		parent := g.m.parents[c]
		if parent == "" || c == "pids" && l.PIDs == 0 || c == "cpu" && l.CPUs == 0 {
			continue
		}
		dir := filepath.Join(parent, g.name)
		if slices.Contains(g.dirs, dir) {
			continue
		}
		if err := g.m.kernel.mkdir(dir); err != nil {
			return err
		}
		g.dirs = append(g.dirs, dir)
		f, err := os.OpenFile(filepath.Join(dir, "cgroup.procs"), os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		g.procs = append(g.procs, f)
	}
	g.mem = filepath.Join(g.m.parents["memory"], g.name)
	if err := g.openMemory(l); err != nil {
		return err
	}
	if l.PIDs > 0 {
		if !g.m.Has("pids") {
			return errors.New("no pids controller")
		}
		dir := filepath.Join(g.m.parents["pids"], g.name)
		if err := g.m.kernel.write(filepath.Join(dir, "pids.max"), strconv.Itoa(l.PIDs)); err != nil {
			return err
		}
		g.pidsEvents, _ = os.Open(filepath.Join(dir, "pids.events")) // since 4.8
	}
	if l.CPUs > 0 {
		if !g.m.Has("cpu") {
			return errors.New("no cpu controller")
		}
		if err := g.setCPU(l.CPUs); err != nil {
			return err
		}
	}
	return g.Reset()
}

func (g *Group) openMemory(l Limits) error {
	fl := flavours[g.m.version]
	var err error
	if g.limit, err = os.OpenFile(filepath.Join(g.mem, fl.limit), os.O_RDWR, 0); err != nil {
		return err
	}
	if g.current, err = os.Open(filepath.Join(g.mem, fl.current)); err != nil {
		return err
	}
	if g.ooms, err = os.Open(filepath.Join(g.mem, fl.events)); err != nil {
		return err
	}
	// Writable since 6.12 on v2, always on v1; readable on v2 since 5.19.
	if g.peak, err = os.OpenFile(filepath.Join(g.mem, fl.peak), os.O_RDWR, 0); err == nil {
		g.peakResets = true
	} else {
		g.peak, _ = os.Open(filepath.Join(g.mem, fl.peak))
	}
	if g.m.version == 1 {
		// Absent where swap accounting is off; then there is nothing to bound.
		g.swap, _ = os.OpenFile(filepath.Join(g.mem, "memory.memsw.limit_in_bytes"), os.O_RDWR, 0)
	} else {
		if err := g.m.kernel.write(filepath.Join(g.mem, "memory.swap.max"), "0"); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		if !l.SurviveOOM {
			if err := g.m.kernel.write(filepath.Join(g.mem, "memory.oom.group"), "1"); err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
		}
	}
	if l.Memory > 0 {
		return g.SetMemory(l.Memory)
	}
	return nil
}

func (g *Group) setCPU(cpus float64) error {
	const period = 100_000 // microseconds
	dir := filepath.Join(g.m.parents["cpu"], g.name)
	quota := strconv.Itoa(max(int(cpus*period), 1000))
	if g.m.version == 2 {
		return g.m.kernel.write(filepath.Join(dir, "cpu.max"), quota+" "+strconv.Itoa(period))
	}
	return g.m.kernel.write(filepath.Join(dir, "cpu.cfs_quota_us"), quota)
}

// SetMemory changes the limit. Where more is in use that cannot be taken back
// it fails (v1) or the kernel kills (v2).
func (g *Group) SetMemory(b pyexec.Bytes) error {
	if b == g.limited {
		return nil // most runs have the limit of the run before
	}
	g.limited = 0 // unknown where it fails
	if err := g.setMemory(b); err != nil {
		return err
	}
	g.limited = b
	return nil
}

func (g *Group) setMemory(b pyexec.Bytes) error {
	value := []byte(strconv.FormatInt(int64(b), 10) + "\n")
	_, err := g.limit.WriteAt(value, 0)
	if g.swap == nil {
		return err
	}
	// v1 keeps limit ≤ memsw at every moment: raise memsw first, lower it last.
	_, swapErr := g.swap.WriteAt(value, 0)
	if errors.Is(err, unix.EINVAL) && swapErr == nil {
		_, err = g.limit.WriteAt(value, 0)
	}
	return errors.Join(err, swapErr)
}

// ProcsFiles are the open cgroup.procs files. A process that writes "0" to
// each of them joins the group; the kernel asks whether the process that
// opened them, the server, may do that. They belong to the group.
func (g *Group) ProcsFiles() []*os.File { return g.procs }

// Dir is the group's directory with the memory controller, for messages.
func (g *Group) Dir() string { return g.mem }

// Kill sends SIGKILL to every process in the group. It does not wait.
func (g *Group) Kill() error {
	if g.m.version == 2 {
		err := g.m.kernel.write(filepath.Join(g.mem, "cgroup.kill"), "1") // since 5.14
		if !errors.Is(err, os.ErrNotExist) || !isDir(g.mem) {
			return ignoreGone(err)
		}
	}
	var err error
	for _, dir := range g.dirs {
		err = errors.Join(err, killListed(dir))
	}
	return err
}

// killListed kills the processes of a directory by pidfd: it opens them, looks
// whether they are still listed, and only then signals, so that a number that
// went to another process meanwhile is not hit. A few rounds catch what was
// forked in between.
func killListed(dir string) error {
	for range 10 {
		pids, err := words(filepath.Join(dir, "cgroup.procs"))
		if err != nil || len(pids) == 0 {
			return ignoreGone(err)
		}
		fds := map[string]int{}
		for _, p := range pids {
			pid, _ := strconv.Atoi(p)
			if pid <= 0 || pid == os.Getpid() { // 0: of another pid namespace
				continue
			}
			if fd, err := unix.PidfdOpen(pid, 0); err == nil {
				fds[p] = fd
			}
		}
		still, _ := words(filepath.Join(dir, "cgroup.procs"))
		for p, fd := range fds {
			if slices.Contains(still, p) {
				_ = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
			}
			_ = unix.Close(fd)
		}
		time.Sleep(time.Millisecond)
	}
	return nil
}

func ignoreGone(err error) error {
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ENODEV) {
		return nil
	}
	return err
}

// Close kills what is left in the group and removes it. It waits for the
// kernel to let go of the processes until ctx ends.
func (g *Group) Close(ctx context.Context) error {
	wait := time.Millisecond
	for {
		err := g.remove()
		if !errors.Is(err, unix.EBUSY) {
			return err
		}
		if killErr := g.Kill(); killErr != nil {
			return killErr
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("remove cgroup: %w", err)
		case <-time.After(wait):
		}
		wait = min(2*wait, 50*time.Millisecond)
	}
}

// remove takes the directories away, once.
func (g *Group) remove() error {
	var err error
	for _, dir := range g.dirs {
		if e := g.m.kernel.rmdir(dir); e != nil && !errors.Is(e, os.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}
	if err != nil {
		return err
	}
	g.closeOnce.Do(func() {
		for _, f := range append(g.procs, g.limit, g.swap, g.peak, g.current, g.ooms, g.pidsEvents) {
			if f != nil {
				_ = f.Close()
			}
		}
	})
	g.m.mu.Lock()
	delete(g.m.groups, g)
	g.m.mu.Unlock()
	return nil
}

// key finds "name value" in the text of an events file.
func key(text, name string) (int64, bool) {
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) == 2 && f[0] == name {
			n, err := strconv.ParseInt(f[1], 10, 64)
			return n, err == nil
		}
	}
	return 0, false
}
