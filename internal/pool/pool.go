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
	// Kind chooses by the script's text. A wrong choice only costs time.
	Kind func(script string) string
	// Ready bounds how many children of each kind wait for a script; the
	// pool finds the right number between.
	Ready map[string]Size
	// Spare is how many slots without a child are kept for each kind.
	Spare int
	// Runs is how many runs a slot serves before it is replaced; 0 means no limit.
	Runs int
	Log  *slog.Logger
}

// Pool is an Executor.
type Pool struct {
	opts   Options
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex
	shelves map[string]*shelf
	closed  bool
}

// shelf holds the slots of one kind.
type shelf struct {
	ready    []*place // with a child that waits
	spare    []*place // without a child
	starting int
	waiters  []chan taken
	demand   demand
}

// place is a slot and how often it was used.
type place struct {
	Slot
	kind string
	runs int
}

type taken struct {
	place *place
	err   error
}

// New makes a pool; Fill gets it going.
func New(opts Options) *Pool {
	ctx, cancel := context.WithCancel(context.Background())
	p := &Pool{opts: opts, ctx: ctx, cancel: cancel, shelves: map[string]*shelf{}}
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

// attempts is how many children a run is offered before the pool gives up;
// only children that died unused are counted.
const attempts = 3

// Execute implements pyexec.Executor.
func (p *Pool) Execute(ctx context.Context, req pyexec.Request) (pyexec.Result, error) {
	kind := p.opts.Kind(req.Script)
	began := time.Now()
	var last error
	for range attempts {
		pl, err := p.take(ctx, kind)
		if err != nil {
			return pyexec.Result{}, p.unavailable(ctx, err)
		}
		spawn := time.Since(began)
		pl.runs++
		res, err := pl.Run(ctx, req)
		p.wg.Go(func() { p.giveBack(pl) })
		if errors.Is(err, pyexec.ErrNotStarted) {
			last = err
			continue
		}
		res.Timing.Spawn = spawn
		return res, err
	}
	return pyexec.Result{}, p.unavailable(ctx, last)
}

func (p *Pool) unavailable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
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
		return nil, &pyexec.Error{Code: pyexec.CodeDraining, Message: "the server is shutting down", RetryAfter: time.Second}
	}
	sh := p.shelves[kind]
	for len(sh.ready) > 0 {
		pl := sh.ready[0]
		sh.ready = sh.ready[1:]
		if dead(pl) {
			p.wg.Go(pl.Close)
			continue
		}
		sh.demand.taken(len(sh.ready), false, time.Now())
		p.mu.Unlock()
		p.refill(kind)
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

func dead(pl *place) bool {
	select {
	case <-pl.Gone():
		return true
	default:
		return pl.Stale()
	}
}

// refill starts as many children as are waited for or missing on the shelf.
func (p *Pool) refill(kind string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	sh := p.shelves[kind]
	for sh.starting+len(sh.ready) < sh.demand.target+len(sh.waiters) {
		sh.starting++
		var pl *place
		if n := len(sh.spare); n > 0 {
			pl, sh.spare = sh.spare[n-1], sh.spare[:n-1]
		}
		p.wg.Go(func() { p.start(kind, pl) })
	}
}

// start makes a ready child, in a slot that is there or in a new one, and
// hands it to the first waiter or to the shelf.
func (p *Pool) start(kind string, pl *place) {
	pl, err := p.prepared(kind, pl)
	p.mu.Lock()
	sh := p.shelves[kind]
	sh.starting--
	if err != nil {
		// Only a waiter is told: the shelf is refilled at the next take.
		if len(sh.waiters) > 0 {
			sh.waiters[0] <- taken{err: err}
			sh.waiters = sh.waiters[1:]
		}
		p.mu.Unlock()
		if p.ctx.Err() == nil {
			p.opts.Log.Warn("a child could not be made ready", "zygote", kind, "error", err)
		}
		return
	}
	p.mu.Unlock()
	p.shelve(pl)
}

func (p *Pool) prepared(kind string, pl *place) (*place, error) {
	if pl != nil && !dead(pl) {
		err := pl.Prepare(p.ctx)
		if err == nil {
			return pl, nil
		}
		p.opts.Log.Debug("a slot was given up", "error", err)
	}
	if pl != nil {
		pl.Close()
	}
	slot, err := p.opts.Open(p.ctx, kind)
	if err != nil {
		return nil, err
	}
	pl = &place{Slot: slot, kind: kind}
	if err := pl.Prepare(p.ctx); err != nil {
		pl.Close()
		return nil, err
	}
	return pl, nil
}

// shelve hands a place with a ready child to the first waiter, or keeps it.
func (p *Pool) shelve(pl *place) {
	p.mu.Lock()
	sh := p.shelves[pl.kind]
	switch {
	case p.closed:
		p.mu.Unlock()
		pl.Close()
		return
	case len(sh.waiters) > 0:
		sh.waiters[0] <- taken{place: pl}
		sh.waiters = sh.waiters[1:]
	case len(sh.ready) >= sh.demand.target:
		p.mu.Unlock()
		pl.Close() // demand has fallen since it was started
		return
	default:
		sh.ready = append(sh.ready, pl)
	}
	p.mu.Unlock()
}

// settleTime bounds the teardown of a child; a slot that needs longer is ended.
const settleTime = 5 * time.Second

// giveBack waits until nothing of the run is left and keeps the slot for
// another child, or ends it.
func (p *Pool) giveBack(pl *place) {
	ctx, cancel := context.WithTimeout(p.ctx, settleTime)
	defer cancel()
	err := pl.Settle(ctx)
	if err == nil && !dead(pl) && (p.opts.Runs == 0 || pl.runs < p.opts.Runs) {
		p.mu.Lock()
		if sh := p.shelves[pl.kind]; !p.closed && len(sh.spare) < p.opts.Spare {
			sh.spare = append(sh.spare, pl)
			p.mu.Unlock()
			p.refill(pl.kind)
			return
		}
		p.mu.Unlock()
	}
	pl.Close()
	p.refill(pl.kind)
}

// Ready is how many children wait for a script, by kind.
func (p *Pool) Ready() map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	ready := make(map[string]int, len(p.shelves))
	for kind, sh := range p.shelves {
		ready[kind] = len(sh.ready)
	}
	return ready
}

// Close ends all slots, with what still runs in them, and waits.
func (p *Pool) Close() {
	p.mu.Lock()
	p.closed = true
	var all []*place
	for _, sh := range p.shelves {
		all = append(append(all, sh.ready...), sh.spare...)
		sh.ready, sh.spare = nil, nil
		for _, w := range sh.waiters {
			w <- taken{err: &pyexec.Error{Code: pyexec.CodeDraining, Message: "the server is shutting down", RetryAfter: time.Second}}
		}
		sh.waiters = nil
	}
	p.mu.Unlock()
	p.cancel()
	for _, pl := range all {
		p.wg.Go(pl.Close)
	}
	p.wg.Wait()
}
