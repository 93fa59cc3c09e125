package cgroup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// places says where this process is in each hierarchy that it can see.
type places struct {
	unified string            // directory in the v2 hierarchy, or ""
	v1      map[string]string // controller → directory
}

// leafName is the group into which the server's own processes move, since v2
// allows no processes in a group that has limited groups below it.
const leafName = "pyexec-server"

// readPlaces joins /proc/self/cgroup (which group) with /proc/self/mountinfo
// (where its hierarchy is mounted).
func readPlaces(root string) (places, error) {
	p := places{v1: map[string]string{}}
	self, err := os.ReadFile(filepath.Join(root, "proc/self/cgroup"))
	if err != nil {
		return p, err
	}
	mounts, err := os.ReadFile(filepath.Join(root, "proc/self/mountinfo"))
	if err != nil {
		return p, err
	}
	for _, line := range strings.Split(strings.TrimSpace(string(self)), "\n") {
		part := strings.SplitN(line, ":", 3)
		if len(part) != 3 {
			continue
		}
		if part[0] == "0" && part[1] == "" {
			p.unified = visible(root, string(mounts), "cgroup2", "", part[2])
			continue
		}
		for _, c := range strings.Split(part[1], ",") {
			if dir := visible(root, string(mounts), "cgroup", c, part[2]); dir != "" {
				p.v1[c] = dir
			}
		}
	}
	return p, nil
}

// visible finds the directory of a group: below the mount of its hierarchy, or
// the mount itself where a container shows only a part of it.
func visible(root, mounts, fstype, controller, group string) string {
	for _, line := range strings.Split(mounts, "\n") {
		left, right, ok := strings.Cut(line, " - ")
		l, r := strings.Fields(left), strings.Fields(right)
		if !ok || len(l) < 5 || len(r) < 3 || r[0] != fstype {
			continue
		}
		if controller != "" && !slices.Contains(strings.Split(r[2], ","), controller) {
			continue
		}
		mountRoot, point := unescape(l[3]), filepath.Join(root, unescape(l[4]))
		if rel, err := filepath.Rel(mountRoot, group); err == nil && rel != ".." && !strings.HasPrefix(rel, "../") {
			if dir := filepath.Join(point, rel); isDir(dir) {
				return dir
			}
		}
		if isDir(point) {
			return point
		}
	}
	return ""
}

// unescape undoes the octal escapes of mountinfo.
func unescape(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}

func isDir(dir string) bool {
	st, err := os.Stat(dir)
	return err == nil && st.IsDir()
}

// findV1 takes our own group in each hierarchy as the place for groups.
func findV1(_ Options, p places) (map[string]string, error) {
	parents := map[string]string{}
	for _, c := range controllers {
		if dir := p.v1[c]; dir != "" {
			parents[c] = dir
		}
	}
	if parents["memory"] == "" {
		return nil, errors.New("no hierarchy with a memory controller is mounted")
	}
	return parents, nil
}

// findV2 makes a place where groups have controllers: the parent that was
// configured, or our own group once its processes have moved to a leaf.
func findV2(o Options, p places) (map[string]string, error) {
	base := p.unified
	if o.Parent != "" {
		base = filepath.Join(o.Root, o.Parent)
	}
	if base == "" {
		return nil, errors.New("no unified hierarchy is mounted")
	}
	if o.Parent == "" && filepath.Base(base) == leafName {
		base = filepath.Dir(base)
	}
	have, err := words(filepath.Join(base, "cgroup.controllers"))
	if err != nil {
		return nil, inWords(err)
	}
	if !slices.Contains(have, "memory") {
		return nil, fmt.Errorf("our group has no memory controller (it has: %s): under systemd set Delegate=yes; on hybrid machines it belongs to v1", strings.Join(have, " "))
	}
	if err := enable(o, base, have); err != nil {
		return nil, inWords(err)
	}
	on, err := words(filepath.Join(base, "cgroup.subtree_control"))
	if err != nil {
		return nil, inWords(err)
	}
	if !slices.Contains(on, "memory") {
		return nil, errors.New("the memory controller cannot be switched on for groups below ours")
	}
	parents := map[string]string{}
	for _, c := range controllers {
		if slices.Contains(on, c) {
			parents[c] = base
		}
	}
	return parents, nil
}

// enable switches on the controllers for groups below base. Memory must work;
// each of the others may fail. The kernel says EBUSY while processes are in
// base itself; they then move to the leaf.
func enable(o Options, base string, have []string) error {
	control := filepath.Join(base, "cgroup.subtree_control")
	on, err := words(control)
	if err != nil {
		return err
	}
	for _, c := range controllers {
		if !slices.Contains(have, c) || slices.Contains(on, c) {
			continue
		}
		err := o.kernel.write(control, "+"+c)
		for try := 0; errors.Is(err, unix.EBUSY) && o.Parent == "" && try < 10; try++ {
			if err = intoLeaf(o, base); err != nil {
				break
			}
			if err = o.kernel.write(control, "+"+c); err != nil {
				time.Sleep(10 * time.Millisecond) // a process was forked meanwhile
			}
		}
		if err != nil && c == "memory" {
			return err
		}
	}
	return nil
}

// intoLeaf moves all processes of base into the leaf below it. In a group that
// was delegated to us they are all ours.
func intoLeaf(o Options, base string) error {
	leaf := filepath.Join(base, leafName)
	if err := o.kernel.mkdir(leaf); err != nil && !errors.Is(err, unix.EEXIST) {
		return err
	}
	pids, err := words(filepath.Join(base, "cgroup.procs"))
	if err != nil {
		return err
	}
	for _, pid := range pids {
		if err := o.kernel.write(filepath.Join(leaf, "cgroup.procs"), pid); err != nil && !errors.Is(err, unix.ESRCH) {
			return err
		}
	}
	return nil
}

func words(file string) ([]string, error) {
	b, err := os.ReadFile(file)
	return strings.Fields(string(b)), err
}

// write sets a control file, which must exist.
func write(file, value string) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value + "\n")
	return errors.Join(err, f.Close())
}

// startTime reads pid and start time (in clock ticks since boot) from a
// process's stat file. The name in it may hold spaces and brackets.
func startTime(file string) (pid int, start uint64, err error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return 0, 0, err
	}
	s := string(b)
	f := strings.Fields(s[strings.LastIndexByte(s, ')')+1:])
	if len(f) < 20 {
		return 0, 0, fmt.Errorf("%s: too few fields", file)
	}
	pid, err1 := strconv.Atoi(s[:max(strings.IndexByte(s, ' '), 0)])
	start, err2 := strconv.ParseUint(f[19], 10, 64) // field 22 of proc_pid_stat(5)
	return pid, start, errors.Join(err1, err2)
}
