package e2etest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	warmings       = 5 // until the pool grows no more
	settlePatience = 10 * time.Second
	cleanPatience  = 2 * time.Second
	fdSlack        = 6 // idle HTTP connections come and go

	zygoteProcesses = 4 // nsjail and the tree of zygotes
)

// Snapshot is what a server holds of the machine at one moment.
type Snapshot struct {
	Processes  []Process // below the server
	Strays     []Process // sandboxed processes that belong to nobody
	Zombies    int
	FDs        []string // what the server's descriptors point to
	Cgroups    []string
	Mounts     int             // in the server's own mount namespace
	Namespaces map[string]bool // of the server and all below it
	Files      []string        // entries of the temporary folders that are the server's
}

// Counts are the figures that must return to where they were.
func (s Snapshot) counts() map[string]int {
	return map[string]int{
		"processes": len(s.Processes), "stray processes": len(s.Strays), "zombies": s.Zombies,
		"descriptors": len(s.FDs), "cgroups": len(s.Cgroups), "mounts": s.Mounts,
		"namespaces": len(s.Namespaces), "temporary files": len(s.Files),
	}
}

// String implements fmt.Stringer.
func (s Snapshot) String() string {
	return fmt.Sprintf("%d processes, %d strays, %d zombies, %d descriptors, %d cgroups, %d mounts, %d namespaces, %d temporary files",
		len(s.Processes), len(s.Strays), s.Zombies, len(s.FDs), len(s.Cgroups), s.Mounts, len(s.Namespaces), len(s.Files))
}

// Snapshot counts now. Between runs the pool may be refilling: Settle waits
// for that.
func (s *Server) Snapshot() Snapshot {
	table := processes()
	shot := Snapshot{Namespaces: map[string]bool{}}
	shot.Processes = descendants(table, s.Pid)
	shot.Strays = strays(table, table[s.Pid].Start)
	for _, p := range append([]Process{table[s.Pid]}, shot.Processes...) {
		if p.State == 'Z' {
			shot.Zombies++
		}
		links, _ := filepath.Glob(fmt.Sprintf("/proc/%d/ns/*", p.Pid))
		for _, link := range links {
			if strings.HasSuffix(link, "_for_children") {
				continue
			}
			if ns, err := os.Readlink(link); err == nil {
				shot.Namespaces[ns] = true
			}
		}
	}
	fds, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", s.Pid))
	for _, fd := range fds {
		if target, err := os.Readlink(fd); err == nil {
			shot.FDs = append(shot.FDs, target)
		}
	}
	mounts, _ := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", s.Pid))
	shot.Mounts = strings.Count(string(mounts), "\n")
	shot.Cgroups = s.cgroups()
	shot.Files = s.temporaryFiles()
	return shot
}

// Processes are those below the server now: what of a snapshot costs little.
func (s *Server) Processes() []Process { return descendants(processes(), s.Pid) }

// cgroups are the folders of this server in every hierarchy: their names carry
// its pid. An ordinary user's server has none.
func (s *Server) cgroups() []string {
	var own []string
	mine := fmt.Sprintf("-%d-", s.Pid)
	_ = filepath.WalkDir("/sys/fs/cgroup", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return fs.SkipDir
		}
		if d.IsDir() && strings.Contains(path, "pyexec-") && strings.Contains(path, mine) {
			own = append(own, path)
		}
		return nil
	})
	return own
}

// nsjail makes two folders to mount on for each user id, the first time, and
// keeps them: they are no run's, and any test may be the first. What is in
// them counts.
var nsjailMountPoint = regexp.MustCompile(`^nsjail\.\d+\.(root|tmp)$`)

// temporaryFiles are the entries of the world-writable folders that nsjail or
// pyexec made, and what is open below the server's runtime folder.
func (s *Server) temporaryFiles() []string {
	var found []string
	for _, dir := range []string{os.TempDir(), "/tmp", "/var/tmp", "/dev/shm", "/dev/mqueue", "/run"} {
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			name := e.Name()
			if others(name, s.Pid) {
				continue
			}
			if strings.Contains(name, "pyexec") || strings.Contains(name, "nsjail") {
				files := s.below(filepath.Join(dir, name))
				if nsjailMountPoint.MatchString(name) {
					files = files[min(1, len(files)):]
				}
				found = append(found, files...)
			}
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

func (s *Server) below(root string) []string {
	var found []string // the root first
	_ = filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return fs.SkipDir
		}
		found = append(found, path)
		return nil
	})
	return found
}

// others says whether a name ends in a number that is not the server's pid:
// it is another server's, or a folder of a test.
func others(name string, own int) bool {
	pid, err := strconv.Atoi(name[strings.LastIndexByte(name, '-')+1:])
	return err == nil && pid != own
}

// Settle is a snapshot of the server at rest: two in a row are the same. The
// pool is first brought to its full size, which it keeps: slots and their
// namespaces are reused by later runs.
func (s *Server) Settle() Snapshot {
	shot := s.rest()
	for range warmings {
		Warm(s.BaseURL)
		now := s.rest()
		grown := len(difference(shot, now, 0)) > 0
		shot = now
		if !grown {
			break
		}
	}
	return shot
}

// rest waits until nothing changes.
func (s *Server) rest() Snapshot {
	deadline := time.Now().Add(settlePatience)
	last := s.Snapshot()
	for {
		time.Sleep(300 * time.Millisecond)
		now := s.Snapshot()
		if len(difference(last, now, 0)) == 0 && len(difference(now, last, 0)) == 0 || time.Now().After(deadline) {
			return now
		}
		last = now
	}
}

// Warm runs as many scripts of each zygote at once as a server takes, so that
// its pools are as large as they get.
func Warm(url string) {
	var all sync.WaitGroup
	for _, imports := range []string{"", "import asyncio\n", "import numpy\n", "import pandas\n"} {
		for range 2 * runtime.NumCPU() {
			all.Go(func() {
				body, _ := json.Marshal(map[string]string{
					"script": imports + "import time\ndef main():\n    time.sleep(1)\n    return 1\n",
				})
				res, err := http.Post(url+"/execute", "application/json", bytes.NewReader(body))
				if err == nil {
					_, _ = io.Copy(io.Discard, res.Body)
					res.Body.Close()
				}
			})
		}
		all.Wait()
	}
	http.DefaultClient.CloseIdleConnections() // they are no part of the server at rest
}

// Leftovers says what the server holds more than before, once it has had two
// seconds to come to rest.
func (s *Server) Leftovers(before Snapshot) error {
	deadline := time.Now().Add(cleanPatience)
	var strays []Process
	for first := true; ; first = false {
		now := s.Snapshot()
		// Whoever is new here died with another server, or is about to.
		now.Strays = slices.DeleteFunc(now.Strays, func(p Process) bool {
			return !first && !slices.ContainsFunc(strays, func(was Process) bool { return was.Pid == p.Pid && was.Start == p.Start })
		})
		strays = now.Strays
		more := difference(before, now, fdSlack)
		if len(more) == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("left behind: %s", strings.Join(more, "; "))
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// AssertClean fails the test for what Leftovers finds.
func (s *Server) AssertClean(t testing.TB, before Snapshot) {
	t.Helper()
	if err := s.Leftovers(before); err != nil {
		t.Error(err)
	}
}

// slots are the pid namespaces below the server, the jail's own not counted,
// and how many processes are in each: the slot, and a child while one waits
// or runs.
func (s Snapshot) slots() map[string]int {
	inside := map[string]int{}
	first := Process{}
	for _, p := range s.Processes {
		if p.PidNS == "" {
			continue
		}
		inside[p.PidNS]++
		if p.Name != "nsjail" && (first.Pid == 0 || p.Start < first.Start) {
			first = p
		}
	}
	for _, p := range s.Processes {
		if p.Name == "nsjail" {
			delete(inside, p.PidNS)
		}
	}
	delete(inside, first.PidNS) // the zygotes'
	return inside
}

func difference(before, now Snapshot, slack int) []string {
	was := before.counts()
	var more []string
	slots := now.slots()
	added := max(0, len(slots)-len(before.slots()))
	if added > len(before.slots())/2+4 {
		more = append(more, fmt.Sprintf("%d slots, before %d", len(slots), len(before.slots())))
	}
	for ns, n := range slots {
		if n > 2 {
			more = append(more, fmt.Sprintf("%d processes in one slot, %s", n, ns))
		}
	}
	if slack == 0 {
		added = 0
	}
	for what, n := range now.counts() {
		allowed := was[what]
		children := max(0, len(now.Processes)-len(before.Processes))
		// How many slots there are, and how many have a child that waits, is
		// the pool's to choose by demand: what those have is no leftover.
		if slack > 0 {
			switch what {
			case "processes":
				if len(before.slots()) > 0 {
					allowed = max(allowed, 2*len(slots)+zygoteProcesses)
				}
			case "descriptors":
				allowed += slack + 12*added + 6*children
			case "cgroups":
				allowed += 3 * added
			case "namespaces":
				allowed += 10*added + 2*children // each has its mounts, and with egress its network
			}
		}
		if n > allowed {
			more = append(more, fmt.Sprintf("%d %s, before %d: %s", n, what, was[what], examples(what, before, now)))
		}
	}
	slices.Sort(more)
	return more
}

// examples names what is new.
func examples(what string, before, now Snapshot) string {
	names := func(s Snapshot) []string {
		switch what {
		case "descriptors":
			return s.FDs
		case "cgroups":
			return s.Cgroups
		case "temporary files":
			return s.Files
		case "processes", "zombies", "stray processes":
			var list []string
			for _, p := range append(slices.Clone(s.Processes), s.Strays...) {
				list = append(list, p.String())
			}
			return list
		}
		return nil
	}
	old := names(before)
	var found []string
	for _, name := range names(now) {
		if !slices.Contains(old, name) {
			found = append(found, name)
		}
	}
	if len(found) > 12 {
		found = append(found[:12], "…")
	}
	return strings.Join(found, ", ")
}
