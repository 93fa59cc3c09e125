package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// process is one of the server's.
type process struct {
	pid, parent int
	ticks       int64
	role        string // server, jail, zygote, slot or child
	kind        string // base, numpy or pandas
	pss, own    int64  // bytes; own are the private ones
	tables      int64  // bytes of page tables
}

// tree is the server with all its descendants.
func (s *server) tree() []process {
	all := map[int]process{}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, stat := range stats {
		text, err := os.ReadFile(stat)
		if err != nil {
			continue // it has ended meanwhile
		}
		end := bytes.LastIndexByte(text, ')')
		fields := strings.Fields(string(text[end+1:]))
		if end < 0 || len(fields) < 13 {
			continue
		}
		p := process{}
		p.pid, _ = strconv.Atoi(filepath.Base(filepath.Dir(stat)))
		p.parent, _ = strconv.Atoi(fields[1])
		user, _ := strconv.ParseInt(fields[11], 10, 64)
		system, _ := strconv.ParseInt(fields[12], 10, 64)
		p.ticks = user + system
		all[p.pid] = p
	}
	var found []process
	for _, p := range all {
		for up, steps := p, 0; steps < 64; steps++ {
			if up.pid == s.pid {
				found = append(found, p)
				break
			}
			next, ok := all[up.parent]
			if !ok {
				break
			}
			up = next
		}
	}
	return found
}

// ticks is the sum; it shrinks when processes end.
func ticks(tree []process) int64 {
	var sum int64
	for _, p := range tree {
		sum += p.ticks + int64(p.pid)<<20 // a process that comes or goes is a change, too
	}
	return sum
}

// inspect adds role, kind and memory. What ended meanwhile is left out.
func inspect(tree []process, server int) ([]process, error) {
	var out []process
	for _, p := range tree {
		dir := fmt.Sprintf("/proc/%d/", p.pid)
		rollup, err := os.ReadFile(dir + "smaps_rollup")
		if os.IsPermission(err) {
			return nil, fmt.Errorf("%w (PSS needs root)", err)
		}
		status, err2 := os.ReadFile(dir + "status")
		maps, err3 := os.ReadFile(dir + "maps")
		if err != nil || err2 != nil || err3 != nil || len(rollup) == 0 {
			continue
		}
		p.pss = kilobytes(rollup, "Pss:")
		p.own = kilobytes(rollup, "Private_Clean:") + kilobytes(rollup, "Private_Dirty:")
		p.tables = kilobytes(status, "VmPTE:")
		p.role, p.kind = roleOf(status, p.pid == server), "base"
		switch {
		case bytes.Contains(maps, []byte("/pandas/")):
			p.kind = "pandas"
		case bytes.Contains(maps, []byte("/numpy/")):
			p.kind = "numpy"
		case bytes.Contains(maps, []byte("/_ssl.")):
			p.kind = "net"
		}
		out = append(out, p)
	}
	return out, nil
}

// roleOf goes by the pid namespaces: the jail is one below ours, each slot one
// below that, where it is pid 1.
func roleOf(status []byte, server bool) string {
	if server {
		return "server"
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "NSpid:"); ok {
			switch pids := strings.Fields(rest); {
			case len(pids) < 2:
				return "jail"
			case len(pids) == 2:
				return "zygote"
			case pids[len(pids)-1] == "1":
				return "slot"
			}
			return "child"
		}
	}
	return "unknown"
}

func kilobytes(text []byte, key string) int64 {
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, key); ok {
			n, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return n << 10
		}
	}
	return 0
}
