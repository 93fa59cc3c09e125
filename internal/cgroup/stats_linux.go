package cgroup

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/python-code-executor/pyexec"
)

// Stats is what a group used since its last Reset.
type Stats struct {
	PeakMemory    pyexec.Bytes // most at any moment; 0 where the kernel does not tell
	CurrentMemory pyexec.Bytes
	OOMKills      int64 // processes killed because Memory was reached
	PIDsRefused   int64 // threads and processes refused because PIDs was reached
}

// Reset makes Stats start anew, between two runs of one slot.
func (g *Group) Reset() error {
	if g.peakResets {
		if _, err := g.peak.WriteAt([]byte("0\n"), 0); err != nil {
			return fmt.Errorf("reset %s: %w", g.peak.Name(), err)
		}
	} else if g.peak != nil {
		var err error
		if g.basePeak, err = number(g.peak); err != nil {
			return err
		}
	}
	g.baseOOMs, g.basePIDs = 0, 0
	s, err := g.Stats()
	if err != nil {
		return err
	}
	g.baseOOMs, g.basePIDs = s.OOMKills, s.PIDsRefused
	return nil
}

// Stats reads the counters. It costs one pread for each file.
func (g *Group) Stats() (Stats, error) {
	var s Stats
	current, err := number(g.current)
	if err != nil {
		return s, err
	}
	s.CurrentMemory = pyexec.Bytes(current)
	if g.peak != nil {
		peak, err := number(g.peak)
		if err != nil {
			return s, err
		}
		if !g.peakResets && peak == g.basePeak {
			peak = current // an earlier run's: this one stayed below it
		}
		s.PeakMemory = pyexec.Bytes(max(peak, current))
	}
	text, err := content(g.ooms)
	if err != nil {
		return s, err
	}
	kills, ok := key(text, "oom_kill")
	if !ok {
		return s, fmt.Errorf("%s: no oom_kill in %q", g.ooms.Name(), text)
	}
	s.OOMKills = kills - g.baseOOMs
	if g.pidsEvents != nil {
		if text, err = content(g.pidsEvents); err != nil {
			return s, err
		}
		refused, _ := key(text, "max")
		s.PIDsRefused = refused - g.basePIDs
	}
	return s, nil
}

// CurrentMemory is what all groups use together. A group that goes meanwhile
// counts as nothing.
func (m *Manager) CurrentMemory() pyexec.Bytes {
	m.mu.Lock()
	files := make([]string, 0, len(m.groups))
	for g := range m.groups {
		files = append(files, filepath.Join(g.mem, flavours[m.version].current))
	}
	m.mu.Unlock()
	var sum pyexec.Bytes
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		n, _ := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
		sum += pyexec.Bytes(n)
	}
	return sum
}

func number(f *os.File) (int64, error) {
	text, err := content(f)
	if err != nil {
		return 0, err
	}
	line, _, _ := strings.Cut(text, "\n")
	return strconv.ParseInt(line, 10, 64)
}

// content reads a small control file again from its start.
func content(f *os.File) (string, error) {
	buf := make([]byte, 1024)
	n, err := unix.Pread(int(f.Fd()), buf, 0)
	if err != nil {
		return "", fmt.Errorf("read %s: %w", f.Name(), err)
	}
	return string(buf[:n]), nil
}
