package cgroup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// namePrefix starts the name of every group of every server of ours:
// pyexec-PIDNS-PID-STARTTIME-NAME-SERIAL.
const namePrefix = "pyexec-"

// Leftovers counts the groups of this server that exist.
func (m *Manager) Leftovers() int {
	return len(m.list(func(name string) bool { return strings.HasPrefix(name, m.prefix) }))
}

// Sweep kills and removes what servers that are dead left behind, and tells
// how many groups it removed. Servers of other pid namespaces are left alone:
// whether they live cannot be seen from here.
func (m *Manager) Sweep(ctx context.Context) (int, error) {
	removed := 0
	var problem error
	for _, name := range m.list(m.isDead) {
		g := &Group{m: m, name: name}
		for _, c := range controllers {
			if p := m.parents[c]; p != "" && isDir(filepath.Join(p, name)) && !slices.Contains(g.dirs, filepath.Join(p, name)) {
				g.dirs = append(g.dirs, filepath.Join(p, name))
			}
		}
		if len(g.dirs) == 0 {
			continue // another server that starts has just removed it
		}
		g.mem = g.dirs[0]
		if err := g.Close(ctx); err != nil {
			problem = errors.Join(problem, err)
			continue
		}
		removed++
	}
	return removed, problem
}

// list names the groups that fit, each once, whatever hierarchies it is in.
func (m *Manager) list(fits func(string) bool) []string {
	var out []string
	for _, parent := range m.parents {
		entries, _ := os.ReadDir(parent)
		for _, e := range entries {
			if e.IsDir() && fits(e.Name()) && !slices.Contains(out, e.Name()) {
				out = append(out, e.Name())
			}
		}
	}
	return out
}

// isDead tells whether a name is that of a group whose server, of our own pid
// namespace, is gone.
func (m *Manager) isDead(name string) bool {
	own := strings.Split(strings.TrimPrefix(m.prefix, namePrefix), "-")
	part := strings.SplitN(strings.TrimPrefix(name, namePrefix), "-", 4)
	if !strings.HasPrefix(name, namePrefix) || len(part) != 4 || part[0] != own[0] {
		return false
	}
	var pid int
	var start uint64
	if _, err := fmt.Sscan(part[1]+" "+part[2], &pid, &start); err != nil || pid <= 0 {
		return false
	}
	_, now, err := startTime(filepath.Join(m.root, "proc", part[1], "stat"))
	return errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) || err == nil && now != start
}

// Close removes all groups that are left, within a few seconds.
func (m *Manager) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	m.mu.Lock()
	groups := make([]*Group, 0, len(m.groups))
	for g := range m.groups {
		groups = append(groups, g)
	}
	m.mu.Unlock()
	var err error
	for _, g := range groups {
		err = errors.Join(err, g.Close(ctx))
	}
	return err
}
