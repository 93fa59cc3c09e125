// Package admission owns the places of the server: how many runs go on at
// once, who waits for a place and in which order, and when waiting is not
// worth it. It knows only the vocabulary of the root package.
package admission

import (
	"context"
	"sync"
	"time"

	"github.com/python-code-executor/pyexec"
)

// Options are the sizes of an [Admission].
type Options struct {
	Concurrency int           // runs at once; at least 1
	Memory      pyexec.Bytes  // that running scripts may need together; 0 means unbounded
	Queue       int           // requests that may wait for a place; 0 means none
	MaxWait     time.Duration // longest wait, expected or real; 0 means unbounded
}

// Admission is the stage of the executor chain that gives out places.
//
// Places go to callers in turn, and in order of arrival within one caller,
// so that one caller with many requests delays another by one run at most
// per turn. When the line is full, a caller with fewer requests in it takes
// the room of the newest request of whoever has most.
//
// In an overload, where far more is refused than is served, the line is half as
// long as there are places: a full line would add its whole length to every
// answer and serve nobody more. A burst that the line can hold is never cut.
type Admission struct {
	opts Options
	next pyexec.Executor

	mu       sync.Mutex
	running  int
	memory   pyexec.Bytes // the limits of those running, added up
	line     line
	load     load
	mean     time.Duration // how long a run keeps its place; 0 until one has ended
	draining bool
	idle     chan struct{} // closed when draining and nothing runs
}

// Stats are the counts of this moment.
type Stats struct {
	Running int
	Queued  int
	Memory  pyexec.Bytes // the limits of those running, added up
}

// New returns a stage that runs requests on next.
func New(opts Options, next pyexec.Executor) *Admission {
	opts.Concurrency = max(opts.Concurrency, 1)
	opts.Queue = max(opts.Queue, 0)
	return &Admission{opts: opts, next: next, line: newLine(), load: load{places: opts.Concurrency}, idle: make(chan struct{})}
}

// Execute waits for a place and then runs req. A request that gets no place
// is answered by an *pyexec.Error: overloaded, draining, or canceled when ctx
// ended first. Such a request never runs.
func (a *Admission) Execute(ctx context.Context, req pyexec.Request) (pyexec.Result, error) {
	arrived := time.Now()
	err := a.acquire(ctx, req.Caller, req.Memory)
	got := time.Now()
	timing := pyexec.Timing{Queue: got.Sub(arrived)}
	if err != nil {
		return pyexec.Result{Timing: timing}, err
	}
	defer a.release(got, req.Memory) // also when next panics
	res, err := a.next.Execute(ctx, req)
	res.Timing.Queue = timing.Queue
	return res, err
}

// Stats tells how many requests run and wait, and what those running may need.
func (a *Admission) Stats() Stats {
	a.mu.Lock()
	defer a.mu.Unlock()
	return Stats{Running: a.running, Queued: a.line.size, Memory: a.memory}
}

// Drain refuses every request that has no place yet, those waiting and those
// to come, with CodeDraining. Runs go on. It may be called more than once.
func (a *Admission) Drain() {
	a.mu.Lock()
	waiting := a.line.clear()
	if !a.draining {
		a.draining = true
		if a.running == 0 {
			close(a.idle)
		}
	}
	a.mu.Unlock()
	for _, w := range waiting {
		w.answer <- errDraining()
	}
}

// Wait blocks until, after [Admission.Drain], the last run has ended.
func (a *Admission) Wait(ctx context.Context) error {
	select {
	case <-a.idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// acquire returns nil when the caller has a place.
func (a *Admission) acquire(ctx context.Context, caller string, memory pyexec.Bytes) error {
	if ctx.Err() != nil {
		return errCanceled(ctx)
	}
	w, evicted, err := a.join(caller, memory)
	if evicted != nil {
		evicted.answer <- err
		err = nil
	}
	if w == nil {
		return err
	}
	var expired <-chan time.Time
	if a.opts.MaxWait > 0 {
		t := time.NewTimer(a.opts.MaxWait)
		defer t.Stop()
		expired = t.C
	}
	select {
	case err := <-w.answer:
		if err == nil && ctx.Err() != nil {
			a.giveBack(memory)
			return errCanceled(ctx)
		}
		return err
	case <-ctx.Done():
		return a.leave(w, errCanceled(ctx))
	case <-expired:
		return a.leave(w, nil)
	}
}

// join takes a free place (no waiter, no error) or stands in line. With
// evicted set, err is that waiter's answer.
func (a *Admission) join(caller string, memory pyexec.Bytes) (w, evicted *waiter, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.draining:
		return nil, nil, errDraining()
	case a.line.size == 0 && a.fits(memory):
		// Nobody waits who could run: what becomes free is handed over under
		// the lock.
		a.start(memory)
		return nil, nil, nil
	case a.tooLong(a.line.ahead(caller)):
		return nil, nil, a.refuse()
	case a.line.size >= a.room():
		evicted = a.line.evictFor(caller)
		if evicted == nil {
			return nil, nil, a.refuse()
		}
		err = a.refuse()
	}
	return a.line.push(caller, memory), evicted, err
}

// leave takes w out of the line, answering with err, or with overloaded when
// err is nil. If the place was granted at the same moment, it is given back
// to a request that still wants it, unless w merely waited too long.
func (a *Admission) leave(w *waiter, err error) error {
	a.mu.Lock()
	removed := a.line.remove(w)
	var granted []*waiter
	if removed {
		if err == nil {
			err = a.errOverloaded()
		}
		granted = a.grant() // those whom w held up
	}
	a.mu.Unlock()
	for _, g := range granted {
		g.answer <- nil
	}
	if removed {
		return err
	}
	answer := <-w.answer // on its way: sent by whoever took w out of the line
	if answer != nil || err == nil {
		return answer
	}
	a.giveBack(w.memory)
	return err
}

// release ends a run that got its place at since.
func (a *Admission) release(since time.Time, memory pyexec.Bytes) {
	now := time.Now()
	held := now.Sub(since)
	a.mu.Lock()
	a.load.count(now, a.mean, 0, 1)
	if a.mean == 0 {
		a.mean = held
	} else {
		a.mean += (held - a.mean) / 5 // moving average over about the last five
	}
	a.mu.Unlock()
	a.giveBack(memory)
}

// fits says whether a run that may need memory can start. One always can:
// otherwise a budget below one limit would stop the server.
func (a *Admission) fits(memory pyexec.Bytes) bool {
	return a.running == 0 || a.running < a.opts.Concurrency &&
		(a.opts.Memory == 0 || a.memory+memory <= a.opts.Memory)
}

func (a *Admission) start(memory pyexec.Bytes) {
	a.running++
	a.memory += memory
}

// giveBack hands what a run held to the next in line, or frees it.
func (a *Admission) giveBack(memory pyexec.Bytes) {
	a.mu.Lock()
	a.running--
	a.memory -= memory
	granted := a.grant()
	if a.draining && a.running == 0 {
		close(a.idle)
	}
	a.mu.Unlock()
	for _, w := range granted {
		w.answer <- nil
	}
}

// grant takes those out of the line who can start, in turn. The first who
// cannot holds up the others, or small runs would keep a large one out.
func (a *Admission) grant() []*waiter {
	var granted []*waiter
	for w := a.line.peek(); w != nil && a.fits(w.memory); w = a.line.peek() {
		a.line.pop()
		a.start(w.memory)
		granted = append(granted, w)
	}
	return granted
}

// expect is the time until a request with n others ahead of it has a place.
func (a *Admission) expect(n int) time.Duration {
	return a.mean * time.Duration(n+1) / time.Duration(a.opts.Concurrency)
}

func (a *Admission) tooLong(ahead int) bool {
	return a.opts.MaxWait > 0 && a.expect(ahead) > a.opts.MaxWait
}

// room is how many may wait now.
func (a *Admission) room() int {
	if a.load.over(time.Now(), a.mean) {
		return min(a.opts.Queue, (a.opts.Concurrency+1)/2) // the next arrival is near
	}
	return a.opts.Queue
}

func (a *Admission) refuse() error {
	a.load.count(time.Now(), a.mean, 1, 0)
	return a.errOverloaded()
}

func (a *Admission) errOverloaded() error {
	return &pyexec.Error{
		Code:       pyexec.CodeOverloaded,
		Message:    "the server is running as many scripts as it can; try again later",
		RetryAfter: min(max(a.expect(a.line.size), time.Second), time.Minute),
	}
}

func errDraining() error {
	return &pyexec.Error{
		Code:       pyexec.CodeDraining,
		Message:    "the server is shutting down; try again",
		RetryAfter: time.Second,
	}
}

func errCanceled(ctx context.Context) error {
	return &pyexec.Error{
		Code:    pyexec.CodeCanceled,
		Message: "the client went away while waiting for a place",
		Err:     context.Cause(ctx),
	}
}
