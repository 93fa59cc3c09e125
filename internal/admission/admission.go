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
	Queue       int           // requests that may wait for a place; 0 means none
	MaxWait     time.Duration // longest wait, expected or real; 0 means unbounded
}

// Admission is the stage of the executor chain that gives out places.
//
// Places go to callers in turn, and in order of arrival within one caller,
// so that one caller with many requests delays another by one run at most
// per turn. When the line is full, a caller with fewer requests in it takes
// the room of the newest request of whoever has most.
type Admission struct {
	opts Options
	next pyexec.Executor

	mu       sync.Mutex
	running  int
	line     line
	mean     time.Duration // how long a run keeps its place; 0 until one has ended
	draining bool
	idle     chan struct{} // closed when draining and nothing runs
}

// Stats are the counts of this moment.
type Stats struct {
	Running int
	Queued  int
}

// New returns a stage that runs requests on next.
func New(opts Options, next pyexec.Executor) *Admission {
	opts.Concurrency = max(opts.Concurrency, 1)
	opts.Queue = max(opts.Queue, 0)
	return &Admission{opts: opts, next: next, line: newLine(), idle: make(chan struct{})}
}

// Execute waits for a place and then runs req. A request that gets no place
// is answered by an *pyexec.Error: overloaded, draining, or canceled when ctx
// ended first. Such a request never runs.
func (a *Admission) Execute(ctx context.Context, req pyexec.Request) (pyexec.Result, error) {
	arrived := time.Now()
	err := a.acquire(ctx, req.Caller)
	got := time.Now()
	timing := pyexec.Timing{Queue: got.Sub(arrived)}
	if err != nil {
		return pyexec.Result{Timing: timing}, err
	}
	defer a.release(got) // also when next panics
	res, err := a.next.Execute(ctx, req)
	res.Timing.Queue = timing.Queue
	return res, err
}

// Stats tells how many requests run and wait.
func (a *Admission) Stats() Stats {
	a.mu.Lock()
	defer a.mu.Unlock()
	return Stats{Running: a.running, Queued: a.line.size}
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
func (a *Admission) acquire(ctx context.Context, caller string) error {
	if ctx.Err() != nil {
		return errCanceled(ctx)
	}
	w, evicted, err := a.join(caller)
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
			a.giveBack()
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
func (a *Admission) join(caller string) (w, evicted *waiter, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.draining:
		return nil, nil, errDraining()
	case a.running < a.opts.Concurrency:
		// Nobody waits while a place is free: a place that becomes free is
		// handed over under the lock.
		a.running++
		return nil, nil, nil
	case a.tooLong(a.line.ahead(caller)):
		return nil, nil, a.errOverloaded()
	case a.line.size >= a.opts.Queue:
		evicted = a.line.evictFor(caller)
		if evicted == nil {
			return nil, nil, a.errOverloaded()
		}
		err = a.errOverloaded()
	}
	return a.line.push(caller), evicted, err
}

// leave takes w out of the line, answering with err, or with overloaded when
// err is nil. If the place was granted at the same moment, it is given back
// to a request that still wants it, unless w merely waited too long.
func (a *Admission) leave(w *waiter, err error) error {
	a.mu.Lock()
	removed := a.line.remove(w)
	if removed && err == nil {
		err = a.errOverloaded()
	}
	a.mu.Unlock()
	if removed {
		return err
	}
	answer := <-w.answer // on its way: sent by whoever took w out of the line
	if answer != nil || err == nil {
		return answer
	}
	a.giveBack()
	return err
}

// release ends a run that got its place at since.
func (a *Admission) release(since time.Time) {
	held := time.Since(since)
	a.mu.Lock()
	if a.mean == 0 {
		a.mean = held
	} else {
		a.mean += (held - a.mean) / 5 // moving average over about the last five
	}
	a.mu.Unlock()
	a.giveBack()
}

// giveBack hands the place to the next in line, or frees it.
func (a *Admission) giveBack() {
	a.mu.Lock()
	w := a.line.pop()
	if w == nil {
		a.running--
		if a.draining && a.running == 0 {
			close(a.idle)
		}
	}
	a.mu.Unlock()
	if w != nil {
		w.answer <- nil
	}
}

// expect is the time until a request with n others ahead of it has a place.
func (a *Admission) expect(n int) time.Duration {
	return a.mean * time.Duration(n+1) / time.Duration(a.opts.Concurrency)
}

func (a *Admission) tooLong(ahead int) bool {
	return a.opts.MaxWait > 0 && a.expect(ahead) > a.opts.MaxWait
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
