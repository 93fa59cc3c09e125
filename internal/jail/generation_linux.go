package jail

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/python-code-executor/pyexec/internal/seccomp"
)

// generation is one tree of zygotes in one nsjail. It is replaced after a
// number of runs or some time, since all its children share a hash seed and an
// address layout.
type generation struct {
	jail *Jail
	born time.Time
	runs atomic.Int64
	cmd  *exec.Cmd
	logs *logTail

	mu      sync.Mutex
	zygotes map[Kind]*zygote
	errs    map[Kind]error
	grown   chan struct{} // closed and remade when a zygote is ready or has failed
	slots   int
	stopped bool

	lost       chan struct{} // closed when one of the zygotes is gone
	lostOnce   sync.Once
	retired    chan struct{} // closed when another generation has taken over
	retireOnce sync.Once
	stopOnce   sync.Once
	renewing   atomic.Bool
	growOnce   sync.Once
	exited     chan struct{}
}

// newGeneration starts nsjail with the base zygote and waits for its imports.
// It ends with the jail, whether it becomes the current one or not.
func (j *Jail) newGeneration(ctx context.Context, s spec) (*generation, error) {
	c, peer, err := newConn("zygote-base")
	if err != nil {
		return nil, err
	}
	g := &generation{
		jail: j, born: time.Now(), zygotes: map[Kind]*zygote{}, errs: map[Kind]error{},
		grown: make(chan struct{}), lost: make(chan struct{}),
		retired: make(chan struct{}), exited: make(chan struct{}),
	}
	config, view, err := j.runnerConfig(s)
	if err == nil {
		err = g.exec(s, view, peer)
	}
	peer.Close() // so that a zygote that dies is seen as the end of the socket
	if err != nil {
		c.close()
		return nil, err
	}
	z := &zygote{name: string(Bare), conn: c, gone: make(chan struct{})}
	defer context.AfterFunc(ctx, c.close)() // nobody waits for its imports any more
	if err = z.order(config); err == nil {
		err = z.awaitReady(j, j.opts.ImportTimeout)
	}
	if err != nil {
		c.close()
		g.kill()
		<-g.exited
		return nil, fmt.Errorf("%w%s", err, g.logs.said())
	}
	g.zygotes[Bare] = z
	g.watch(z)
	j.wg.Go(func() {
		select {
		case <-g.exited:
		case <-j.ctx.Done():
			g.stop()
		}
	})
	return g, nil
}

// runnerConfig is the first message to the base zygote: what slots and
// children have to do at this level.
func (j *Jail) runnerConfig(s spec) (map[string]any, *View, error) {
	programs, err := seccompPrograms(s)
	if err != nil {
		return nil, nil, err
	}
	inJail := j.opts.NSJail != "" && s.perimeter()
	view, err := newView(j.opts.Python, filepath.Join(j.dir, "runner"), inJail)
	if err != nil {
		return nil, nil, err
	}
	l := j.opts.Limits
	cpu := int64(j.cpuLimit() / time.Second)
	config := map[string]any{
		"op": "config", "namespaces": s.namespaces, "proc": s.proc,
		"layers": j.enabled(s.layers()), "readable": []string{"/"}, "device_files": devices,
		"workdir": "/sandbox", "scratch": filepath.Join(j.dir, "scratch"),
		"disk_bytes": l.Disk, "disk_files": l.DiskFiles, "cpu_seconds": cpu, "open_files": l.OpenFiles,
		"egress_offered": j.opts.Egress != nil, "egress": false, "ca_bundle": "",
		"own_pid": seccomp.SelfPID, "die_with_parent": j.opts.NSJail != "",
		"rlimits": map[string]int64{
			"CORE": 0, "FSIZE": int64(l.Disk), "MEMLOCK": 64 << 10,
			"SIGPENDING": 128, "MSGQUEUE": 0, "NICE": 0, "RTPRIO": 0,
		},
	}
	maps.Copy(config, programs)
	if j.opts.Egress != nil {
		config["ca_bundle"] = view.addCertificates()
	}
	switch {
	case !slices.Contains(s.namespaces, "mount"):
		config["readable"] = view.readable()
	case !inJail:
		config["view"], config["view_root"] = view, filepath.Join(j.dir, "stage")
	}
	if slices.Contains(s.namespaces, "user") && nprocPerNamespace() {
		// The slot, its child and the child's threads.
		config["rlimits"].(map[string]int64)["NPROC"] = int64(l.Threads) + 2
	} else if j.cgroups == nil {
		// For children alone: slots must be able to fork whatever a run does.
		if n, err := j.threadsOfAll(); err == nil {
			config["uid_threads"] = n
		}
	}
	j.opts.Unsafe.loosen(config)
	return config, view, nil
}

// nprocPerNamespace says whether RLIMIT_NPROC counts what is in one user
// namespace, as it does from Linux 5.14. gVisor, which calls itself 4.19, counts
// all processes of the user id, so that one run's threads would be refused for
// another's; memory bounds them there.
func nprocPerNamespace() bool {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return false
	}
	var major, minor int
	if _, err := fmt.Sscanf(unix.ByteSliceToString(name.Release[:]), "%d.%d", &major, &minor); err != nil {
		return false
	}
	return major > 5 || major == 5 && minor >= 14
}

// exec starts the launcher, which becomes nsjail or Python.
func (g *generation) exec(s spec, view *View, control *os.File) error {
	j := g.jail
	self, err := os.Executable()
	if err != nil {
		return err
	}
	l := launch{UID: j.opts.UID, Stage: filepath.Join(j.dir, "stage"), Env: zygoteEnv()}
	python := []string{view.Python, "-I", "-B", "-c", zygoteCode, "3", view.Runner}
	if j.opts.NSJail != "" {
		config := filepath.Join(j.dir, s.nsjail)
		text, err := nsjailConfigs.ReadFile("nsjail/" + s.nsjail)
		if err != nil {
			return fmt.Errorf("nsjail configuration: %w", err)
		}
		if err := os.WriteFile(config, text, 0o644); err != nil { //nolint:gosec // the sandbox's uid must be able to read it
			return err
		}
		if l.Path, err = filepath.EvalSymlinks(j.opts.NSJail); err != nil {
			return fmt.Errorf("nsjail: %w", err)
		}
		l.Args = append(j.nsjailArgs(s, view, config), python...)
		if s.perimeter() {
			l.Binds = view.Binds
		}
	} else {
		l.Path, l.Args = python[0], python
	}
	if len(l.Binds) == 0 {
		l.Needs = view.readable()
		if root := wheelRoot(l.Path); root != "" {
			l.Needs = append(l.Needs, root)
		}
	}
	text, err := json.Marshal(l)
	if err != nil {
		return err
	}
	g.cmd = exec.Command(self, LaunchCommand, string(text)) //nolint:gosec // the server itself
	g.cmd.Env = []string{}
	g.cmd.Dir = "/"
	g.cmd.ExtraFiles = []*os.File{control}
	g.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	stderr, err := g.cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := g.cmd.Start(); err != nil {
		return fmt.Errorf("start the zygote's launcher: %w", err)
	}
	g.logs = &logTail{}
	j.wg.Go(func() {
		g.logs.read(stderr, func(line string) { j.log.Debug("zygote", "said", line) })
		_ = g.cmd.Wait()
		close(g.exited)
	})
	return nil
}

// zygoteCode takes the runner off the path again: a script has no use for it.
const zygoteCode = `import sys; sys.path.insert(0, sys.argv[2]); from pyexec_runner.zygote import main; sys.path.pop(0); main()`

// zygoteEnv is the whole environment of zygotes and runs.
func zygoteEnv() []string {
	env := []string{
		"PATH=/usr/bin:/bin", "HOME=/sandbox", "TMPDIR=/tmp", "LANG=C.UTF-8", "TZ=UTC",
		// One thread, set before any import: a fork does not survive others.
		"OPENBLAS_NUM_THREADS=1", "OMP_NUM_THREADS=1", "MKL_NUM_THREADS=1", "NUMEXPR_NUM_THREADS=1",
		"MALLOC_ARENA_MAX=2",
		"MPLBACKEND=agg", // there is no display
	}
	// Some processors need OpenBLAS to be told their type.
	for _, name := range []string{"OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// watch notices the end of a zygote, grown ones included: what asks for its
// kind would wait for ever while only the base zygote was replaced.
func (g *generation) watch(z *zygote) {
	g.jail.wg.Go(func() {
		<-z.gone
		g.lostOnce.Do(func() { close(g.lost) })
	})
}

func (g *generation) root() *zygote { return g.ready(Bare) }

func (g *generation) ready(kind Kind) *zygote {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.zygotes[kind]
}

// growAll forks the rest of the tree, one from the other; a second call waits
// for the first.
func (g *generation) growAll() { g.growOnce.Do(g.growEach) }

func (g *generation) growEach() {
	for _, kind := range Kinds[1:] {
		modules := imports[kind]
		if kind == Plots && !HasPlots(g.jail.opts.Python) {
			g.fail(kind, errNoPlots)
			continue
		}
		if kind == Pandas {
			modules = slices.Concat(modules, g.jail.opts.Preload)
			if g.jail.opts.Egress != nil { // without, it can do nothing but fail
				modules = append(modules, "requests")
			}
		}
		z, err := g.nearest(parents[kind]).grow(g.jail, string(kind), modules, g.jail.opts.ImportTimeout)
		g.mu.Lock()
		switch {
		case err != nil:
			g.errs[kind] = err
		case g.stopped:
			z.conn.close()
		default:
			g.zygotes[kind] = z
			g.watch(z)
		}
		close(g.grown)
		g.grown = make(chan struct{})
		stopped := g.stopped
		g.mu.Unlock()
		if err != nil && !stopped && !g.isRetired() && g.jail.ctx.Err() == nil {
			g.jail.log.Warn("a zygote could not import its packages; scripts that import them start slower, or fail", "zygote", kind, "error", err)
		}
	}
}

// nearest is the zygote of a kind or, where it could not be grown, of the one
// above it.
func (g *generation) nearest(kind Kind) *zygote {
	for kind != Bare && g.ready(kind) == nil {
		kind = parents[kind]
	}
	return g.ready(kind)
}

// await returns the zygote of a kind when it has been grown, or the base
// zygote where it could not be.
func (g *generation) await(ctx context.Context, kind Kind) (*zygote, error) {
	for {
		g.mu.Lock()
		z, err, grown := g.zygotes[kind], g.errs[kind], g.grown
		g.mu.Unlock()
		switch {
		case err != nil && kind != Bare:
			kind = parents[kind]
			continue
		case z == nil && kind == Base:
			return g.root(), nil // served by the root until it has grown
		case z != nil:
			select {
			case <-z.gone:
				return nil, ErrZygoteGone
			default:
				return z, nil
			}
		}
		select {
		case <-grown:
		case <-g.root().gone:
			return nil, ErrZygoteGone
		case <-ctx.Done():
			return nil, fmt.Errorf("zygote %s: %w", kind, ctx.Err())
		}
	}
}

// hold keeps the generation for one more slot, which is to be forked; it is
// false when another generation has taken over.
func (g *generation) hold() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.stopped || g.isRetired() {
		return false
	}
	g.slots++
	return true
}

// release is called when a slot has been closed.
func (g *generation) release() {
	g.mu.Lock()
	g.slots--
	g.mu.Unlock()
	g.stopIfUnused()
}

// retire lets the generation end with its last slot.
func (g *generation) retire() {
	g.retireOnce.Do(func() { close(g.retired) })
	g.stopIfUnused()
}

func (g *generation) isRetired() bool {
	select {
	case <-g.retired:
		return true
	default:
		return false
	}
}

func (g *generation) stopIfUnused() {
	g.mu.Lock()
	unused := g.slots == 0 && g.isRetired()
	g.stopped = g.stopped || unused // under the lock: no slot is forked from here on
	g.mu.Unlock()
	if unused {
		g.jail.wg.Go(g.stop)
	}
}

// stop ends the zygotes: each exits when its control socket closes.
func (g *generation) stop() {
	g.stopOnce.Do(func() {
		g.mu.Lock()
		g.stopped = true
		for i := len(Kinds) - 1; i >= 0; i-- {
			if z := g.zygotes[Kinds[i]]; z != nil {
				z.conn.close()
			}
		}
		g.mu.Unlock()
		select {
		case <-g.exited:
		case <-time.After(2 * time.Second):
			g.kill()
			<-g.exited
		}
	})
}

// kill ends the launcher's process group. Its number may be somebody else's
// once it has been waited for.
func (g *generation) kill() {
	select {
	case <-g.exited:
		return
	default:
	}
	_ = syscall.Kill(-g.cmd.Process.Pid, syscall.SIGKILL)
}

// renewAgain is the pause after a renewal that failed.
const renewAgain = 10 * time.Second

// count notes a run and, where the generation has served its time, starts its
// replacement. It is called while a run has the CPU, never between requests.
func (g *generation) count() {
	j := g.jail
	if g.runs.Add(1) < j.opts.MaxRuns && time.Since(g.born) < j.opts.MaxAge {
		return
	}
	if j.generation() != g || !g.renewing.CompareAndSwap(false, true) {
		return
	}
	j.wg.Go(func() {
		next, err := j.newGeneration(j.ctx, j.spec)
		if err != nil {
			j.failed.Add(1)
			j.log.Error("the zygote could not be renewed; the old one goes on", "error", err, "again_in_ms", renewAgain.Milliseconds())
			j.pause(renewAgain)
			g.renewing.Store(false)
			return
		}
		next.growAll()
		j.renewed.Add(1)
		j.install(next)
	})
}
