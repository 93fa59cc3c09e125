package e2etest

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Process is one line of the process table.
type Process struct {
	Pid     int
	Parent  int
	Name    string
	State   byte   // as in /proc/PID/stat: Z is a zombie
	Start   uint64 // clock ticks after boot
	Ticks   uint64 // CPU time used
	Threads int
	PidNS   string // "" where it may not be read
}

// String implements fmt.Stringer.
func (p Process) String() string {
	return fmt.Sprintf("%d (%s, %c, parent %d)", p.Pid, p.Name, p.State, p.Parent)
}

// Tree is the processes below pid, which is not among them.
func Tree(pid int) []Process { return descendants(processes(), pid) }

// Alive tells whether this very process is still there.
func (p Process) Alive() bool {
	now, ok := processes()[p.Pid]
	return ok && now.Start == p.Start && now.State != 'Z'
}

// processes is the process table as this process sees it.
func processes() map[int]Process {
	table := map[int]Process{}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, stat := range stats {
		text, err := os.ReadFile(stat)
		if err != nil {
			continue // it has ended meanwhile
		}
		if p, ok := parseStat(text); ok {
			p.PidNS, _ = os.Readlink(filepath.Join(filepath.Dir(stat), "ns", "pid"))
			table[p.Pid] = p
		}
	}
	return table
}

// parseStat reads /proc/PID/stat. The name may hold blanks and brackets.
func parseStat(text []byte) (Process, bool) {
	open, shut := bytes.IndexByte(text, '('), bytes.LastIndexByte(text, ')')
	if open < 0 || shut < open {
		return Process{}, false
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text[:open])))
	fields := strings.Fields(string(text[shut+1:]))
	if err != nil || len(fields) < 20 {
		return Process{}, false
	}
	number := func(i int) uint64 { n, _ := strconv.ParseUint(fields[i], 10, 64); return n }
	return Process{
		Pid: pid, Name: string(text[open+1 : shut]), State: fields[0][0],
		Parent: int(number(1)), Ticks: number(11) + number(12), Start: number(19),
		Threads: int(number(17)),
	}, true
}

// descendants are the processes below pid, itself not among them.
func descendants(table map[int]Process, pid int) []Process {
	var found []Process
	for _, p := range table {
		for up := p; up.Pid != pid; {
			parent, ok := table[up.Parent]
			if !ok {
				break
			}
			if parent.Pid == pid {
				found = append(found, p)
				break
			}
			up = parent
		}
	}
	slices.SortFunc(found, func(a, b Process) int { return a.Pid - b.Pid })
	return found
}

// strays are processes of a pid namespace that is not ours, started after the
// given time, whose topmost ancestor below pid 1 is in such a namespace too:
// nobody who would end them is left.
func strays(table map[int]Process, after uint64) []Process {
	ours, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		return nil
	}
	var found []Process
	for _, p := range table {
		if p.PidNS == "" || p.PidNS == ours || p.Start < after {
			continue
		}
		top := p
		for {
			parent, ok := table[top.Parent]
			if !ok || parent.Pid == 1 {
				break
			}
			top = parent
		}
		if top.PidNS != "" && top.PidNS != ours {
			found = append(found, p)
		}
	}
	return found
}

// RSS is the resident memory of a process in bytes, 0 when it has ended.
func RSS(pid int) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize())
}
