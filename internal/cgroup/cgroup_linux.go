// Package cgroup limits memory, processes and CPU of one slot by cgroup v2 (a
// delegated subtree) or cgroup v1, whichever the machine lets us write to.
//
// It finds out by doing: Open makes a group, limits it and removes it. It
// knows nothing of slots, children or levels. Only the jail may import it.
package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/python-code-executor/pyexec"
)

// Limits of one group. Zero means no limit of that kind.
type Limits struct {
	Memory pyexec.Bytes // everything: anonymous memory, tmpfs, page cache, kernel memory of the run; never swapped
	PIDs   int          // processes and threads together
	CPUs   float64      // processors' worth of time

	// SurviveOOM lets the kernel kill one process of the group when memory is
	// short. Otherwise it kills all of them together (v2 only; v1 always kills
	// one). Set it where the slot itself is in the group.
	SurviveOOM bool
}

// ErrUnavailable is what Open's error wraps when the machine offers no cgroup
// that we may use. The error's text says why, in words.
var ErrUnavailable = errors.New("no usable cgroup")

// Options for Open. The zero value is the machine itself.
type Options struct {
	Root   string // where /proc and /sys are; "" is "/"
	Parent string // v2 only: an existing, delegated directory to make groups in; "" is our own cgroup

	kernel *kernel // tests play the kernel here
}

// kernel is what must behave like cgroupfs where a plain file would not.
type kernel struct {
	mkdir, rmdir func(dir string) error
	write        func(file, value string) error
}

var realKernel = kernel{
	mkdir: func(dir string) error { return os.Mkdir(dir, 0o755) }, //nolint:gosec // the sandbox's uid must be able to enter it
	rmdir: func(dir string) error { return os.NewSyscallError("rmdir "+dir, unix.Rmdir(dir)) },
	write: write,
}

// Manager makes groups and removes those that it or a dead server left.
type Manager struct {
	version int // 1 or 2
	root    string
	parents map[string]string // controller → directory in which groups are made
	prefix  string            // of our groups' names
	kernel  *kernel
	serial  atomic.Int64

	mu     sync.Mutex
	groups map[*Group]bool
}

// Open finds what is usable, v2 first. It may move the processes of our own
// cgroup into a leaf below it, because v2 wants no processes where groups are.
func Open(o Options) (*Manager, error) {
	if o.Root == "" {
		o.Root = "/"
	}
	if o.kernel == nil {
		o.kernel = &realKernel
	}
	prefix, err := ownPrefix(o.Root)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	where, err := readPlaces(o.Root)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	var reasons []error
	for _, try := range []struct {
		version int
		find    func(Options, places) (map[string]string, error)
	}{{2, findV2}, {1, findV1}} {
		parents, err := try.find(o, where)
		if err == nil {
			m := &Manager{version: try.version, root: o.Root, parents: parents, prefix: prefix, kernel: o.kernel, groups: map[*Group]bool{}}
			if err = m.prove(); err == nil {
				return m, nil
			}
		}
		reasons = append(reasons, fmt.Errorf("v%d: %w", try.version, err))
	}
	return nil, fmt.Errorf("%w: %w", ErrUnavailable, errors.Join(reasons...))
}

// Version is 1 or 2.
func (m *Manager) Version() int { return m.version }

// Has tells whether groups can limit by "memory" (always), "pids" or "cpu".
func (m *Manager) Has(controller string) bool { return m.parents[controller] != "" }

// String names version and controllers. /health shows it to everybody, so the
// place is not said.
func (m *Manager) String() string {
	var have []string
	for _, c := range controllers {
		if m.Has(c) {
			have = append(have, c)
		}
	}
	return fmt.Sprintf("v%d %s", m.version, strings.Join(have, "+"))
}

// controllers that we use, in the order in which a process joins them.
var controllers = []string{"memory", "pids", "cpu"}

// prove makes a group with every limit and takes it away again. Controllers
// other than memory that refuse are given up.
func (m *Manager) prove() error {
	for _, c := range []string{"pids", "cpu"} {
		if !m.Has(c) {
			continue
		}
		l := Limits{PIDs: 100}
		if c == "cpu" {
			l = Limits{CPUs: 1}
		}
		if err := m.tryGroup(l); err != nil {
			delete(m.parents, c)
		}
	}
	return m.tryGroup(Limits{Memory: 64 * pyexec.MiB})
}

func (m *Manager) tryGroup(l Limits) error {
	g, err := m.New("probe", l)
	if err != nil {
		return inWords(err)
	}
	if err := g.remove(); err != nil {
		return inWords(err)
	}
	return nil
}

// inWords says what an error of the cgroup filesystem means for an operator,
// without the path: /health shows it to everybody.
func inWords(err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		err = at.Err
	}
	switch {
	case errors.Is(err, unix.EROFS):
		return fmt.Errorf("the cgroup filesystem is mounted read-only, as containers have it by default: %w", err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("no permission to make or limit groups: run as root, or under systemd with Delegate=yes: %w", err)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("a file that the controller should have is not there: %w", err)
	}
	return err
}

// ownPrefix starts the names of our groups: pid namespace, pid and start time
// of this server, so that a later server can tell whether it still lives.
func ownPrefix(root string) (string, error) {
	link, err := os.Readlink(filepath.Join(root, "proc/self/ns/pid"))
	if err != nil {
		return "", err
	}
	ns := strings.Trim(strings.TrimPrefix(link, "pid:"), "[]")
	pid, start, err := startTime(filepath.Join(root, "proc/self/stat"))
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s%s-%d-%d-", namePrefix, ns, pid, start), nil
}
