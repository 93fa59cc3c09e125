package pool

import (
	"context"
	"slices"
	"time"
)

// shelf holds the slots of one kind.
type shelf struct {
	ready    []*place // with a child that waits
	spare    []*place // without a child
	starting int
	slots    int // all of them: ready, spare, starting, running, settling
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

func gone(pl *place) bool {
	select {
	case <-pl.Gone():
		return true
	default:
		return false
	}
}

// dead says that no more children are to come from a slot. One that is ready
// already may still be used, if the slot is merely stale.
func dead(pl *place) bool { return gone(pl) || pl.Stale() }

// refill starts as many children as are waited for or missing on the shelf.
// A stale one stays there until its successor comes.
func (p *Pool) refill(kind string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	sh := p.shelves[kind]
	fresh := 0
	for _, pl := range sh.ready {
		if !dead(pl) {
			fresh++
		}
	}
	for sh.starting+fresh < sh.demand.target+len(sh.waiters) && sh.starting < p.ahead+len(sh.waiters) {
		var pl *place
		if n := len(sh.spare); n > 0 {
			pl, sh.spare = sh.spare[n-1], sh.spare[:n-1]
		} else if sh.slots >= sh.demand.target+p.opts.Running && sh.starting >= len(sh.waiters) {
			break // enough: one whose child is ending will be used again
		}
		sh.starting++
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
	p.refill(kind) // the next one, where more are missing than may be started at once
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
		p.end(pl)
	}
	for try := 1; ; try++ {
		p.count(kind, 1)
		slot, err := p.opts.Open(p.ctx, kind)
		if err != nil {
			p.count(kind, -1)
			return nil, err
		}
		pl = &place{Slot: slot, kind: kind}
		if err = pl.Prepare(p.ctx); err == nil {
			return pl, nil
		}
		lost := gone(pl)
		p.end(pl)
		// It may have gone with its zygote: Open waits for the next one.
		if !lost || try == attempts || p.ctx.Err() != nil {
			return nil, err
		}
	}
}

// end closes a slot for good.
func (p *Pool) end(pl *place) {
	pl.Close()
	p.count(pl.kind, -1)
}

func (p *Pool) count(kind string, more int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shelves[kind].slots += more
}

// shelve hands a place with a ready child to the first waiter, or keeps it, in
// the place of a dead one where the shelf is full.
func (p *Pool) shelve(pl *place) {
	p.mu.Lock()
	sh := p.shelves[pl.kind]
	var over *place
	switch {
	case p.closed:
		over = pl
	case len(sh.waiters) > 0:
		sh.waiters[0] <- taken{place: pl}
		sh.waiters = sh.waiters[1:]
	case len(sh.ready) < sh.demand.target:
		sh.ready = append(sh.ready, pl)
		// It was opened for a waiter that another slot has served: one too many.
		if n := len(sh.spare); n > 0 && sh.slots > sh.demand.target+p.opts.Running {
			over, sh.spare = sh.spare[n-1], sh.spare[:n-1]
		}
	default: // demand has fallen since it was started, or its waiter has left
		over = pl
		if i := slices.IndexFunc(sh.ready, dead); i >= 0 {
			over = sh.ready[i]
			sh.ready = append(slices.Delete(sh.ready, i, i+1), pl)
		}
	}
	p.mu.Unlock()
	if over != nil {
		p.end(over)
	}
}

// settleTime bounds the teardown of a child; a slot that needs longer is ended.
// Without a tmpfs to throw away, ten thousands of files are removed one by one.
const settleTime = 20 * time.Second

// giveBack waits until nothing of the run is left and keeps the slot for
// another child, or ends it.
func (p *Pool) giveBack(pl *place) {
	ctx, cancel := context.WithTimeout(p.ctx, settleTime)
	defer cancel()
	err := pl.Settle(ctx)
	if err == nil && !dead(pl) && (p.opts.Runs == 0 || pl.runs < p.opts.Runs) {
		p.mu.Lock()
		if sh := p.shelves[pl.kind]; !p.closed && sh.slots <= sh.demand.target+p.opts.Running {
			sh.spare = append(sh.spare, pl)
			p.mu.Unlock()
			p.refill(pl.kind)
			return
		}
		p.mu.Unlock()
	}
	stale := pl.Stale()
	p.end(pl)
	if stale {
		p.renew()
	}
	p.refill(pl.kind)
}

// renew replaces what keeps a zygote alive that has been replaced itself.
func (p *Pool) renew() {
	p.mu.Lock()
	for _, sh := range p.shelves {
		kept := sh.spare[:0:0]
		for _, pl := range sh.spare {
			if !dead(pl) {
				kept = append(kept, pl)
			} else {
				p.wg.Go(func() { p.end(pl) })
			}
		}
		sh.spare = kept
	}
	p.mu.Unlock()
	p.Fill()
}
