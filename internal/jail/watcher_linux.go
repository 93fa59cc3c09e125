package jail

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	pyexec "github.com/python-code-executor/pyexec"
)

// watchInterval is how often memory is read where no cgroup bounds it. A run
// can pass its limit by what it can touch in that time; RLIMIT_AS, set by the
// child, bounds that.
const watchInterval = 10 * time.Millisecond

// watcher ends a run whose private memory passes its limit, where there is no
// cgroup to do it.
type watcher struct {
	exceeded chan struct{} // closed when the limit is passed; nil with a cgroup
	quit     chan struct{}
	done     chan struct{}
}

// watchMemory starts a watcher for the current child, or one that does nothing.
func (s *Slot) watchMemory(limit pyexec.Bytes) *watcher {
	w := &watcher{}
	if s.group != nil || s.jail.opts.Unsafe.off("memory_watcher") {
		return w
	}
	pid := s.childPID()
	base, err := privateMemory(pid)
	if pid == 0 || err != nil {
		return w
	}
	w.exceeded, w.quit, w.done = make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(w.done)
		tick := time.NewTicker(watchInterval)
		defer tick.Stop()
		for {
			select {
			case <-w.quit:
				return
			case <-tick.C:
			}
			used, err := privateMemory(pid)
			if err != nil {
				return
			}
			if used-base > limit {
				close(w.exceeded)
				return
			}
		}
	}()
	return w
}

func (w *watcher) stop() {
	if w.quit != nil {
		close(w.quit)
		<-w.done
	}
}

// childPID is the current child's pid in the server's pid namespace, as the
// kernel writes it into the fdinfo of its pidfd; 0 when it is not known.
func (s *Slot) childPID() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.childFD == nil {
		return 0
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/self/fdinfo/%d", s.childFD.Fd()))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "Pid:"); ok {
			pid, _ := strconv.Atoi(strings.TrimSpace(value))
			return max(pid, 0)
		}
	}
	return 0
}

// privateMemory is resident minus shared memory: what the process has written.
func privateMemory(pid int) (pyexec.Bytes, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0, err
	}
	fields := bytes.Fields(text)
	if len(fields) < 3 {
		return 0, fmt.Errorf("statm of %d has %d fields", pid, len(fields))
	}
	resident, err1 := strconv.ParseInt(string(fields[1]), 10, 64)
	file, err2 := strconv.ParseInt(string(fields[2]), 10, 64)
	if err1 != nil || err2 != nil {
		return 0, fmt.Errorf("statm of %d cannot be read", pid)
	}
	return pyexec.Bytes(resident-file) * pyexec.Bytes(os.Getpagesize()), nil
}
