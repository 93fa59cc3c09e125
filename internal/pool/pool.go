// Package pool keeps ready children: confined, warmed, waiting for a script,
// each used once. It is the stage between admission and the sandbox.
//
// It drives slots through a small interface and knows neither nsjail nor
// namespaces. A refill starts when a child is taken, so that it overlaps with
// the run; nothing depends on work after an answer.
package pool

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"sync"
	"time"

	pyexec "github.com/python-code-executor/pyexec"
)

// Slot forks one child at a time. The pool calls Prepare, Run and Settle in
// turns, or Close.
type Slot interface {
	Prepare(context.Context) error // forks a child and waits until it is ready
	Run(context.Context, pyexec.Request) (pyexec.Result, error)
	Settle(context.Context) error // waits until the last run's child is gone
	Stale() bool                  // its zygote has been replaced
	Gone() <-chan struct{}        // closed when the slot has died
	Close()                       // ends it and waits
}

// Options is what a pool is built from.
type Options struct {
	// Open makes a slot of a kind. It waits for a zygote that is not ready yet.
	Open func(ctx context.Context, kind string) (Slot, error)
	// Kind chooses for a run, mostly by the script's text.
	Kind func(pyexec.Request) string
	// Ready bounds how many children of each kind wait for a script; the
	// pool finds the right number between.
	Ready map[string]Size
	// Running is how many runs there are at once: so many slots of each kind
	// are kept beside those whose children wait.
	Running int
	// Runs is how many runs a slot serves before it is replaced; 0 means no limit.
	Runs int
	Log  *slog.Logger
}

// Pool is an Executor.
type Pool struct {
	opts   Options
	ctx    context.Context
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup // joined under mu, and only while not closed
	ahead  int            // children started at once that nobody waits for yet

	mu      sync.Mutex
	shelves map[string]*shelf
	closed  bool
}

// New makes a pool; Fill gets it going.
func New(opts Options) *Pool {
	ctx, cancel := context.WithCancelCause(context.Background())
	p := &Pool{opts: opts, ctx: ctx, cancel: cancel, shelves: map[string]*shelf{}, ahead: max(1, runtime.GOMAXPROCS(0)/2)}
	for kind, size := range opts.Ready {
		p.shelves[kind] = &shelf{demand: newDemand(size)}
	}
	return p
}

// Fill starts the children that are to wait for scripts.
func (p *Pool) Fill() {
	for kind := range p.opts.Ready {
		p.refill(kind)
	}
}

// yield is how long the refill of a shelf with plenty leaves the processors
// and the memory to the run that has just begun; a short one is over by then.
const yield = 10 * time.Millisecond

// attempts is how many children a run is offered, beside those that may have
// died together on the shelf, and how many slots a child is offered.
const attempts = 3

// errLost ends the runs that go on when the pool is closed.
var errLost = &pyexec.Error{
	Code: pyexec.CodeUnavailable, Started: true, Message: "the server shut down before the script ended",
}

func errDraining() error {
	return &pyexec.Error{Code: pyexec.CodeDraining, Message: "the server is shutting down", RetryAfter: time.Second}
}

// Execute implements pyexec.Executor.
func (p *Pool) Execute(ctx context.Context, req pyexec.Request) (pyexec.Result, error) {
	if !p.enter() {
		return pyexec.Result{}, errDraining()
	}
	defer p.wg.Done()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(p.ctx, func() { cancel(context.Cause(p.ctx)) })() //nolint:contextcheck // ends with its owner, not with a caller
	kind := p.opts.Kind(req)
	began := time.Now()
	var last error
	for range attempts + p.opts.Ready[kind].Ceiling {
		pl, err := p.take(ctx, kind)
		if err != nil {
			return pyexec.Result{}, p.unavailable(ctx, err)
		}
		spawn := time.Since(began)
		pl.runs++
		res, err := pl.Run(ctx, req)
		p.wg.Go(func() { p.giveBack(pl) }) //nolint:contextcheck // goes on after the answer, and ends with the pool
		if errors.Is(err, pyexec.ErrNotStarted) {
			last = err
			continue
		}
		res.Timing.Spawn = spawn
		return res, err
	}
	return pyexec.Result{}, p.unavailable(ctx, last)
}

// enter counts a caller in, for Close to wait for.
func (p *Pool) enter() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.wg.Add(1)
	return true
}

// unavailable is the error of a run that was not begun.
func (p *Pool) unavailable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		var service *pyexec.Error
		if errors.As(context.Cause(ctx), &service) {
			return errDraining() // the server ends its runs; this one has not begun
		}
		return &pyexec.Error{Code: pyexec.CodeCanceled, Message: "the client went away", Err: ctx.Err()}
	}
	var known *pyexec.Error
	if errors.As(err, &known) {
		return err
	}
	p.opts.Log.Error("no child for a run", "error", err)
	return &pyexec.Error{
		Code: pyexec.CodeUnavailable, Err: err, RetryAfter: time.Second,
		Message: "the sandbox cannot start a run at the moment; the script was not begun",
	}
}

// take returns a slot with a ready child. With none on the shelf it waits for
// the next one, of which there is always one under way for each waiter.
func (p *Pool) take(ctx context.Context, kind string) (*place, error) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil, errDraining()
	}
	sh := p.shelves[kind]
	for len(sh.ready) > 0 {
		pl := sh.ready[0]
		sh.ready = sh.ready[1:]
		if gone(pl) {
			p.wg.Go(func() { p.end(pl) })
			continue
		}
		sh.demand.taken(len(sh.ready), false, time.Now())
		plenty := len(sh.ready) > 0 // whoever takes the last one has all refilled at once
		p.mu.Unlock()
		if plenty {
			time.AfterFunc(yield, func() { p.refill(kind) })
		} else {
			p.refill(kind)
		}
		return pl, nil
	}
	sh.demand.taken(0, true, time.Now())
	got := make(chan taken, 1)
	sh.waiters = append(sh.waiters, got)
	p.mu.Unlock()
	p.refill(kind)
	select {
	case t := <-got:
		return t.place, t.err
	case <-ctx.Done():
		p.leave(sh, got)
		return nil, ctx.Err()
	}
}

// leave takes a waiter off the line; a place that it was just handed goes back.
func (p *Pool) leave(sh *shelf, got chan taken) {
	p.mu.Lock()
	for i, w := range sh.waiters {
		if w == got {
			sh.waiters = append(sh.waiters[:i], sh.waiters[i+1:]...)
			break
		}
	}
	p.mu.Unlock()
	select {
	case t := <-got:
		if t.place != nil {
			p.shelve(t.place)
		}
	default:
	}
}

// Stats are the counts of one kind at this moment.
type Stats struct {
	Ready  int // children that wait for a script
	Target int // how many should
	Slots  int // all of them, those in use included
}

// Stats tells the counts of each kind.
func (p *Pool) Stats() map[string]Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	stats := make(map[string]Stats, len(p.shelves))
	for kind, sh := range p.shelves {
		stats[kind] = Stats{Ready: len(sh.ready), Target: sh.demand.target, Slots: sh.slots}
	}
	return stats
}

// Close ends all slots, with what still runs in them, and waits. It may be
// called more than once.
func (p *Pool) Close() {
	p.mu.Lock()
	p.closed = true
	var all []*place
	for _, sh := range p.shelves {
		all = append(append(all, sh.ready...), sh.spare...)
		sh.ready, sh.spare = nil, nil
		for _, w := range sh.waiters {
			w <- taken{err: errDraining()}
		}
		sh.waiters = nil
	}
	p.mu.Unlock()
	p.cancel(errLost)
	var closing sync.WaitGroup
	for _, pl := range all {
		closing.Go(func() { p.end(pl) })
	}
	closing.Wait()
	p.wg.Wait()
}
