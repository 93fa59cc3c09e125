package jail

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	pyexec "github.com/python-code-executor/pyexec"
	"github.com/python-code-executor/pyexec/internal/wire"
)

// After a run's last word its pipes are drained for this long; only bytes that
// are already in them, or a child that is being killed, are waited for.
const drainTime = 2 * time.Second

// Run hands req to the ready child and returns what came of it. The child may
// still be dying when Run returns: Settle waits for that.
func (s *Slot) Run(ctx context.Context, req pyexec.Request) (pyexec.Result, error) {
	p := s.pipes
	s.pipes = nil
	s.generation.count()
	defer p.close()
	defer s.serveEgress(req)() // also of a run that is not begun: the listener is this child's alone
	set := s.jail.setting(s.group == nil)
	set.Policy = pyexec.Stricter(set.Policy, req.Policy)
	if s.policy != "" {
		set.Policy = s.policy
	}
	frame, err := wire.EncodeRequest(req, set)
	if err != nil {
		return pyexec.Result{}, &pyexec.Error{Code: pyexec.CodeInternal, Message: "internal error", Err: err}
	}
	if s.group != nil {
		if err := s.group.SetMemory(req.Memory); err != nil {
			return pyexec.Result{}, fmt.Errorf("%w: %w", pyexec.ErrNotStarted, err)
		}
	}
	r := &run{slot: s, pipes: p, req: req, limits: set.Limits, began: time.Now(), read: make(chan struct{})}
	return r.do(ctx, frame)
}

// run is one script in one child.
type run struct {
	slot    *Slot
	pipes   *pipes
	req     pyexec.Request
	limits  pyexec.Limits
	began   time.Time
	read    chan struct{} // closed when the result pipe has been read to its end
	started atomic.Bool   // the child has said that it has the script
}

type outcome struct {
	wire.Outcome
	err error
}

// pipeRoom is what an empty pipe takes without a wait: one page, where the user
// has so many pipes that they get no more.
const pipeRoom = 4096

// do is the life of a run: hand over, read until the outcome, the deadline or
// the client's leaving, end the child, collect what it printed.
func (r *run) do(ctx context.Context, frame []byte) (pyexec.Result, error) {
	if len(frame)+len(r.req.Stdin) <= pipeRoom {
		r.handOver(frame)
	} else {
		go r.handOver(frame)
	}
	stdout := collect(r.pipes.stdout, r.limits.Stdout, r.printed(pyexec.Stdout))
	stderr := collect(r.pipes.stderr, r.limits.Stderr, r.printed(pyexec.Stderr))
	told := make(chan outcome, 1)
	go func() {
		defer close(r.read)
		if err := wire.ReadBegun(r.pipes.frames); err != nil {
			told <- outcome{err: err}
			return
		}
		r.started.Store(true)
		if r.req.Watcher != nil {
			r.req.Watcher.Started()
		}
		out, err := wire.ReadOutcome(r.pipes.frames, r.limits)
		told <- outcome{out, err}
	}()
	watch := r.slot.watchMemory(r.req.Memory)
	defer watch.stop()

	deadline := time.NewTimer(r.req.Timeout)
	defer deadline.Stop()
	var res pyexec.Result
	var err error
	select {
	case out := <-told:
		res, err = r.ended(ctx, out, deadline.C, watch)
	case <-watch.exceeded:
		res.Failure = r.memoryFailure()
	case <-deadline.C:
		res.Failure = r.timeoutFailure()
	case <-ctx.Done():
		err = r.canceled(ctx)
	case <-r.slot.gone:
		res, err = r.slotGone()
	}
	res.Timing.Run = time.Since(r.began)
	res.Usage.Wall = res.Timing.Run
	r.slot.kill()
	if err == nil && r.req.Details {
		r.addUsage(&res)
	}
	// To their ends in any case: a watcher hears nothing after the return.
	res.Stdout, res.Truncated.Stdout = stdout.finish(drainTime)
	res.Stderr, res.Truncated.Stderr = stderr.finish(drainTime)
	r.quiet()
	if err != nil {
		return res, err
	}
	res.Isolation = r.slot.isolation()
	return res, nil
}

// printed is what tells the watcher of a stream's text; nil when there is none.
func (r *run) printed(from pyexec.Stream) func(string) {
	if r.req.Watcher == nil {
		return nil
	}
	return func(text string) { r.req.Watcher.Printed(from, text) }
}

// quiet waits until the watcher cannot be told of the start any more.
func (r *run) quiet() {
	if r.req.Watcher == nil {
		return
	}
	_ = r.pipes.result.SetReadDeadline(time.Now().Add(drainTime))
	<-r.read
}

// handOver writes the request and then the script's stdin, which a script may
// leave unread for as long as it runs.
func (r *run) handOver(frame []byte) {
	defer r.pipes.request.Close()
	if _, err := r.pipes.request.Write(frame); err != nil {
		return // the child is dead, which its other pipes tell
	}
	_, _ = io.WriteString(r.pipes.request, r.req.Stdin)
}

// ended turns the end of the result pipe into an answer. Without a usable
// frame the kernel says what happened, so the child is first waited for.
func (r *run) ended(ctx context.Context, out outcome, deadline <-chan time.Time, watch *watcher) (pyexec.Result, error) {
	switch {
	case out.err == nil && out.Failure == nil:
		return pyexec.Result{Value: out.Value, Files: out.Files}, nil
	case out.err == nil:
		return pyexec.Result{Failure: r.limit(out.Failure), Files: out.Files}, nil
	case errors.Is(out.err, wire.ErrUnusable):
		return pyexec.Result{Failure: &pyexec.Failure{
			Type:    pyexec.InvalidResult,
			Message: "the result channel carried something else than a result; the script must not write to descriptors that it did not open",
			Path:    "$",
		}}, nil
	}
	select {
	case e := <-r.slot.exits:
		r.slot.exits <- e // Settle waits for it, too
		if err := r.unread(); err != nil {
			return pyexec.Result{}, err
		}
		return pyexec.Result{Failure: r.verdict(e)}, nil
	case <-watch.exceeded:
		return pyexec.Result{Failure: r.memoryFailure()}, nil
	case <-deadline:
		return pyexec.Result{Failure: r.timeoutFailure()}, nil
	case <-ctx.Done():
		return pyexec.Result{}, r.canceled(ctx)
	case <-r.slot.gone:
		return r.slotGone()
	}
}

// verdict is the kernel's word on a child that ended without an outcome.
func (r *run) verdict(e exit) *pyexec.Failure {
	if !e.Status.Signaled() {
		code := e.Status.ExitStatus()
		return &pyexec.Failure{
			Type: pyexec.Exited, ExitStatus: &code,
			Message: fmt.Sprintf("the script ended the process with exit status %d before main returned; return from main instead", code),
		}
	}
	signal := e.Status.Signal()
	if signal == syscall.SIGKILL && r.outOfMemory() {
		return r.memoryFailure()
	}
	if (signal == syscall.SIGKILL || signal == syscall.SIGXCPU) && e.CPU >= r.slot.jail.cpuLimit() {
		return r.timeoutFailure()
	}
	name := unix.SignalName(signal)
	return &pyexec.Failure{
		Type: pyexec.Killed, Signal: name,
		Message: fmt.Sprintf("the script's process was ended by %s%s", name, signalHints[signal]),
	}
}

var signalHints = map[syscall.Signal]string{
	syscall.SIGSEGV: ": a crash in native code, often a deep recursion or a wrong use of a C library",
	syscall.SIGABRT: ": native code gave up (abort)",
	syscall.SIGFPE:  ": an arithmetic fault in native code",
}

func (r *run) outOfMemory() bool {
	if r.slot.group == nil {
		return false
	}
	stats, err := r.slot.group.Stats()
	return err == nil && stats.OOMKills > 0
}

// limit writes message and limit of the failures that are about a limit: the
// child only says which one it met.
func (r *run) limit(f *pyexec.Failure) *pyexec.Failure {
	switch f.Type {
	case pyexec.MemoryLimit:
		return r.memoryFailure()
	case pyexec.OutputLimit:
		f.LimitBytes = int64(r.limits.Result)
		f.Message = fmt.Sprintf("the result is larger than %s as JSON; return less, or a summary", r.limits.Result)
	case pyexec.DiskLimit:
		f.LimitBytes = int64(r.limits.Disk)
		f.Message = fmt.Sprintf("the script's files are over the limit of %s and %d files", r.limits.Disk, r.limits.DiskFiles)
	}
	return f
}

func (r *run) memoryFailure() *pyexec.Failure {
	return &pyexec.Failure{
		Type: pyexec.MemoryLimit, LimitMB: r.req.Memory.MB(),
		Message: fmt.Sprintf("the script needed more than its %d MB of memory; work on less data at a time", r.req.Memory.MB()),
	}
}

func (r *run) timeoutFailure() *pyexec.Failure {
	return &pyexec.Failure{
		Type: pyexec.Timeout, LimitMS: r.req.Timeout.Milliseconds(),
		Message: fmt.Sprintf("the script ran longer than its time limit of %d ms and was ended", r.req.Timeout.Milliseconds()),
	}
}

func (r *run) canceled(ctx context.Context) error {
	if cause := context.Cause(ctx); cause != nil {
		var e *pyexec.Error
		if errors.As(cause, &e) {
			return e
		}
	}
	return &pyexec.Error{Code: pyexec.CodeCanceled, Message: "the client went away", Started: true, Err: ctx.Err()}
}

// slotGone tells a run whose slot died. Where the cgroup ran out of memory the
// kernel may have chosen the slot to kill; it is the run that needed it.
func (r *run) slotGone() (pyexec.Result, error) {
	if r.outOfMemory() {
		return pyexec.Result{Failure: r.memoryFailure()}, nil
	}
	if err := r.unread(); err != nil {
		return pyexec.Result{}, err
	}
	return pyexec.Result{}, &pyexec.Error{
		Code: pyexec.CodeUnavailable, Started: true, Err: r.slot.reason(),
		Message: "the sandbox was lost while the script ran; it may have had effects inside its run",
	}
}

// unread is ErrNotStarted when the child, now dead, had not read the script:
// its word that it had would be in the pipe still.
func (r *run) unread() error {
	select {
	case <-r.read:
		if !r.started.Load() {
			return pyexec.ErrNotStarted
		}
	case <-time.After(time.Second):
	}
	return nil
}

// addUsage waits for the child to be reaped, since only then its use is known.
func (r *run) addUsage(res *pyexec.Result) {
	select {
	case e := <-r.slot.exits:
		r.slot.exits <- e
		res.Usage.CPU = e.CPU
		res.Usage.Memory = pyexec.Bytes(e.MaxRSSKB) * pyexec.KiB
	case <-r.slot.gone:
	case <-time.After(drainTime):
	}
	if r.slot.group != nil {
		if stats, err := r.slot.group.Stats(); err == nil {
			res.Usage.Memory = stats.PeakMemory
		}
	}
}
