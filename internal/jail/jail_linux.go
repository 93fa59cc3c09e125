package jail

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	pyexec "github.com/python-code-executor/pyexec"
	"github.com/python-code-executor/pyexec/internal/cgroup"
	"github.com/python-code-executor/pyexec/internal/seccomp"
	"github.com/python-code-executor/pyexec/internal/wire"
	"github.com/python-code-executor/pyexec/runner"
)

// Options is what a jail is built from.
type Options struct {
	Python  string   // the interpreter, best that of a virtual environment
	NSJail  string   // the nsjail binary; empty runs without
	UID     int      // what runs are on the host when the server is root
	Policy  string   // level of the check before the run
	Preload []string // imported by the Pandas zygote, too
	Limits  pyexec.Limits
	Running int // runs at once
	Require Requirement
	Unsafe  Unsafe // what tests take away
	Egress  Egress // the way out; nil gives none to any run

	SpawnTimeout  time.Duration // for a slot or a child to become ready
	ImportTimeout time.Duration // for a zygote's imports
	MaxRuns       int64         // of a zygote, before it is replaced
	MaxAge        time.Duration // of a zygote, before it is replaced

	Log *slog.Logger
}

// Kind names a zygote of the tree by what it has imported.
type Kind string

// The tree of zygotes: each is forked from its parent, so that they share their
// pages. Bare is its root: what the runner itself needs. It serves until Base
// is there. Net is asyncio, ssl and what stands on them: apart from Base, since
// they double what a fork of it has to copy.
const (
	Bare   Kind = "bare"
	Base   Kind = "base"
	Net    Kind = "net"
	NumPy  Kind = "numpy"
	Pandas Kind = "pandas"
	Plots  Kind = "plots" // only where matplotlib is installed
)

// Kinds lists the tree in the order in which it grows.
var Kinds = []Kind{Bare, Base, NumPy, Pandas, Net, Plots}

// parents say from which zygote another is forked.
var parents = map[Kind]Kind{Base: Bare, NumPy: Base, Pandas: NumPy, Net: Base, Plots: Pandas}

// imports are what each zygote imports more than its parent. Base has what
// short scripts import most (counted over the shared cases).
var imports = map[Kind][]string{
	Base: {
		"datetime", "random", "string", "heapq", "bisect", "itertools", "typing", "textwrap", "decimal", "fractions",
		"statistics", "csv", "base64", "uuid", "urllib.parse", "pathlib", "tempfile", "traceback", "calendar", "logging",
	},
	Net:    {"asyncio", "concurrent.futures.thread", "hashlib", "secrets", "ssl", "http.client", "urllib.request", "requests"},
	NumPy:  {"numpy"},
	Pandas: {"pandas"}, // and what the operator adds
	Plots:  {"matplotlib"},
}

// Jail is the sandbox of one server.
type Jail struct {
	opts    Options
	log     *slog.Logger
	dir     string   // of this server: runner, stage, scratch
	lock    *os.File // of dir: that this server lives
	cgroups *cgroup.Manager
	noGroup error // why cgroups is nil
	wg      sync.WaitGroup
	ctx     context.Context
	cancel  context.CancelFunc

	mu        sync.Mutex
	spec      spec
	isolation pyexec.Isolation
	tried     []Reason
	current   *generation
	slots     map[int]bool
	changed   chan struct{} // closed and remade when current changes
	closed    bool
	lacking   *wire.StepFailed // what the last child could not do; nil when it was confined

	lost, renewed, failed atomic.Int64 // generations: see Stats
}

// Start chooses the highest level that the platform allows, by doing each of
// its steps in a real child and then attacking it from inside, and returns a
// jail whose base zygote is ready. The others follow by themselves.
func Start(ctx context.Context, opts Options) (*Jail, error) {
	dir, lock, err := makeDirectory()
	if err != nil {
		return nil, fmt.Errorf("runtime directory: %w", err)
	}
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	j := &Jail{
		opts: opts, log: opts.Log, dir: dir, lock: lock, ctx: own, cancel: cancel,
		slots: map[int]bool{}, changed: make(chan struct{}),
	}
	if err := j.prepare(); err != nil {
		j.Close() //nolint:contextcheck // closing outlives whoever asks for it
		return nil, err
	}
	j.sweep(ctx)
	if err := j.choose(ctx); err != nil {
		j.Close() //nolint:contextcheck // closing outlives whoever asks for it
		return nil, err
	}
	j.wg.Go(j.keepAlive)
	return j, nil
}

// prepare makes the runtime directory and finds the cgroups.
func (j *Jail) prepare() error {
	if err := os.Chmod(j.dir, 0o711); err != nil { //nolint:gosec // the sandbox's uid must be able to enter it
		return err
	}
	if err := os.CopyFS(filepath.Join(j.dir, "runner"), runner.Files); err != nil {
		return fmt.Errorf("write runner: %w", err)
	}
	for _, name := range []string{"stage", "scratch"} {
		if err := os.Mkdir(filepath.Join(j.dir, name), 0o700); err != nil {
			return fmt.Errorf("runtime directory: %w", err)
		}
	}
	if os.Getuid() == 0 {
		if err := os.Chown(filepath.Join(j.dir, "scratch"), j.opts.UID, j.opts.UID); err != nil {
			return fmt.Errorf("scratch directory: %w", err)
		}
	}
	if j.opts.Unsafe.off("cgroup") {
		j.noGroup = errTakenAway
		return nil
	}
	j.cgroups, j.noGroup = cgroup.Open(cgroup.Options{})
	if j.noGroup != nil {
		j.cgroups = nil
		return nil
	}
	return nil
}

func (j *Jail) newGroup(id int) (*cgroup.Group, error) {
	// A run's threads, its first one and the slot.
	return j.cgroups.New(fmt.Sprintf("slot-%d", id), cgroup.Limits{
		Memory: j.opts.Limits.Memory, PIDs: j.opts.Limits.Threads + 2, SurviveOOM: true,
	})
}

// keepAlive starts a new generation when the current one dies, with backoff.
func (j *Jail) keepAlive() {
	// Only a zygote that dies young is waited for: one that served for a while
	// and was killed is replaced at once, however often that happens.
	const least, most, young = 50 * time.Millisecond, 5 * time.Second, time.Second
	backoff, paused := least, time.Duration(0)
	for {
		g := j.generation()
		select {
		case <-g.lost:
		case <-g.retired:
		case <-j.ctx.Done():
		}
		if j.ctx.Err() != nil {
			return
		}
		age := time.Since(g.born)
		if age > young+paused {
			backoff = least
		}
		for !g.isRetired() && j.ctx.Err() == nil {
			j.log.Warn("a zygote is gone; starting another", "age_ms", age.Milliseconds())
			next, err := j.newGeneration(j.ctx, j.spec)
			if err == nil {
				j.lost.Add(1)
				j.install(next)
			} else {
				j.failed.Add(1)
				j.log.Error("the zygote could not be started", "error", err, "again_in_ms", backoff.Milliseconds())
			}
			// After a success, too: one that dies at once is not replaced at once.
			j.pause(backoff)
			paused = backoff
			backoff = min(backoff*2, most)
		}
	}
}

// pause waits for d, or for the jail's end.
func (j *Jail) pause(d time.Duration) {
	select {
	case <-time.After(d):
	case <-j.ctx.Done():
	}
}

func (j *Jail) generation() *generation {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.current
}

// install makes next the current generation; the one before ends when its
// last slot does.
func (j *Jail) install(next *generation) {
	j.mu.Lock()
	old := j.current
	j.current = next
	close(j.changed)
	j.changed = make(chan struct{})
	closed := j.closed
	j.mu.Unlock()
	if old != nil {
		old.retire()
	}
	if closed {
		next.stop()
		return
	}
	j.wg.Go(func() { next.growAll() })
}

// Slot forks a slot from the zygote of a kind. It waits for a zygote that is
// still importing, or being replaced.
func (j *Jail) Slot(ctx context.Context, kind Kind) (*Slot, error) { return j.slot(ctx, kind, false) }

func (j *Jail) slot(ctx context.Context, kind Kind, egress bool) (*Slot, error) {
	for {
		j.mu.Lock()
		g, changed, closed := j.current, j.changed, j.closed
		j.mu.Unlock()
		if closed {
			return nil, ErrZygoteGone
		}
		z, err := g.await(ctx, kind)
		if err == nil {
			var s *Slot
			if s, err = z.slot(ctx, g, egress); err == nil {
				s.wanted = kind
				return s, nil
			}
		}
		j.confined(err)
		if !errors.Is(err, ErrZygoteGone) {
			return nil, err
		}
		select {
		case <-changed:
		case <-j.ctx.Done():
			return nil, ErrZygoteGone
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", ErrZygoteGone, ctx.Err())
		}
	}
}

// Python is the version of the interpreter, and of the packages that have been
// imported so far.
func (j *Jail) Python() (version string, packages map[string]string) {
	g := j.generation()
	packages = map[string]string{}
	for _, kind := range Kinds {
		if z := g.ready(kind); z != nil {
			maps.Copy(packages, z.packages)
		}
	}
	return g.root().python, packages
}

// Isolation is what is in force, as verified at start.
func (j *Jail) Isolation() pyexec.Isolation {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.isolation
}

// Tried is why the levels above the one in force cannot be had.
func (j *Jail) Tried() []Reason {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.tried
}

// Stats are counts since the start, and the memory of this moment.
type Stats struct {
	Lost, Renewed, Failed int64 // generations of zygotes: replaced after a death, replaced at their age, not started

	Memory    pyexec.Bytes // of slots and children
	HasMemory bool         // cgroups tell Memory
}

// Stats reads a file for each slot.
func (j *Jail) Stats() Stats {
	s := Stats{Lost: j.lost.Load(), Renewed: j.renewed.Load(), Failed: j.failed.Load()}
	if j.cgroups != nil {
		s.Memory, s.HasMemory = j.cgroups.CurrentMemory(), true
	}
	return s
}

// confined notes how the confinement of a slot or child went. Errors that say
// nothing of it change nothing.
func (j *Jail) confined(err error) {
	var failed *wire.StepFailed
	if err != nil && !errors.As(err, &failed) {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lacking = failed
}

// Lacking is the step of the confinement that fails now, though it did not at
// the start; nil when all is well. No run begins in a child where a step
// has failed.
func (j *Jail) Lacking() *wire.StepFailed {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.lacking
}

func (j *Jail) setting(noGroup bool) wire.Setting {
	addressSpace := noGroup && !j.opts.Unsafe.off("memory_watcher")
	return wire.Setting{Policy: j.opts.Policy, AddressSpace: addressSpace, Limits: j.opts.Limits}
}

// cpuLimit is the backstop for a run whose clock was not obeyed.
func (j *Jail) cpuLimit() time.Duration {
	return (j.opts.Limits.Timeout * time.Duration(runtime.NumCPU())).Round(time.Second) + time.Second
}

func (j *Jail) nextSlot() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	for id := 0; ; id++ {
		if !j.slots[id] {
			j.slots[id] = true
			return id
		}
	}
}

func (j *Jail) freeSlot(id int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	delete(j.slots, id)
	// Empty but where the slot was ended while it still cleaned up; the lowest
	// free number is the next to be taken, and then cleaned.
	_ = unix.Rmdir(filepath.Join(j.dir, "scratch", strconv.Itoa(id)))
}

// Close ends every zygote, slot and child, waits for them, and removes what
// the jail had made. Slots must have been closed before.
func (j *Jail) Close() {
	j.mu.Lock()
	j.closed = true
	g := j.current
	j.mu.Unlock()
	j.cancel()
	if g != nil {
		g.retire()
		g.stop()
	}
	j.wg.Wait()
	if j.cgroups != nil {
		if err := j.cgroups.Close(); err != nil {
			j.log.Warn("cgroups were not removed", "error", err)
		}
	}
	if err := os.RemoveAll(j.dir); err != nil {
		j.log.Warn("the runtime directory was not removed", "error", err)
	}
	j.lock.Close()
}

// seccompPrograms are the filters of a level, as the runner takes them.
func seccompPrograms(s spec) (map[string]any, error) {
	child := seccomp.Child
	if len(s.namespaces) == 0 {
		child = seccomp.ChildPairs
	}
	programs := map[string]any{}
	for name, variant := range map[string]seccomp.Variant{
		"seccomp_child": child, "seccomp_egress": seccomp.ChildEgress, "seccomp_slot": seccomp.Slot,
	} {
		program, err := seccomp.Compile(variant)
		if err != nil {
			return nil, err
		}
		programs[name] = hex.EncodeToString(program.Bytes())
	}
	return programs, nil
}
