package pool_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	pyexec "github.com/python-code-executor/pyexec"
	"github.com/python-code-executor/pyexec/internal/pool"
)

// bubble runs a test with a pool of ready children, closes it and looks for
// what is left.
func bubble(t *testing.T, ready int, b *sandbox, test func(*testing.T, *pool.Pool)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := newPool(b, ready)
		p.Fill()
		time.Sleep(time.Second)
		test(t, p)
		p.Close()
		for _, problem := range b.problems {
			t.Error(problem)
		}
		if len(b.live) > 0 {
			t.Errorf("%d slots are left open", len(b.live))
		}
	})
}

func execute(t *testing.T, p *pool.Pool, script string) pyexec.Result {
	t.Helper()
	res, err := p.Execute(t.Context(), pyexec.Request{Script: script})
	if err != nil {
		t.Errorf("run of %s: %v", script, err)
	}
	return res
}

func TestReadyChildIsTakenAtOnce(t *testing.T) {
	bubble(t, 2, &sandbox{}, func(t *testing.T, p *pool.Pool) {
		began := time.Now()
		execute(t, p, "10ms")
		if d := time.Since(began); d != 10*time.Millisecond {
			t.Errorf("it took %v", d)
		}
	})
}

func TestRefillBeginsWithTheTake(t *testing.T) {
	bubble(t, 1, &sandbox{}, func(t *testing.T, p *pool.Pool) {
		go execute(t, p, "10s")
		time.Sleep(openTime + prepareTime + time.Millisecond)
		if got := p.Stats()["base"].Ready; got != 1 {
			t.Errorf("%d ready while a run goes on, want 1", got)
		}
		time.Sleep(10 * time.Second)
	})
}

func TestASlotIsUsedAgain(t *testing.T) {
	b := &sandbox{}
	bubble(t, 1, b, func(t *testing.T, p *pool.Pool) {
		for range 20 {
			execute(t, p, "1ms")
			time.Sleep(100 * time.Millisecond)
		}
		if b.openings() > 3 {
			t.Errorf("%d slots were opened for runs one after the other", b.openings())
		}
	})
}

func TestWaitersGetTheNextChild(t *testing.T) {
	bubble(t, 1, &sandbox{}, func(t *testing.T, p *pool.Pool) {
		var wg sync.WaitGroup
		for range 6 {
			wg.Go(func() {
				began := time.Now()
				res := execute(t, p, "1s")
				if d := time.Since(began); d > time.Second+openTime+prepareTime {
					t.Errorf("it took %v", d)
				}
				if res.Timing.Spawn > openTime+prepareTime {
					t.Errorf("it waited %v", res.Timing.Spawn)
				}
			})
		}
		wg.Wait()
	})
}

func TestWaitersThatLeave(t *testing.T) {
	b := &sandbox{}
	bubble(t, 1, b, func(t *testing.T, p *pool.Pool) {
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				_, err := p.Execute(ctx, pyexec.Request{Script: "10s"})
				if pyexec.CodeOf(err) != pyexec.CodeCanceled {
					t.Errorf("error: %v", err)
				}
			})
		}
		time.Sleep(time.Millisecond)
		cancel()
		wg.Wait()
		time.Sleep(time.Second)
		if got := p.Stats()["base"].Ready; got != 1 {
			t.Errorf("%d ready, want 1: children of waiters that left are kept", got)
		}
		execute(t, p, "1ms")
	})
}

func TestChildrenThatDiedUnused(t *testing.T) {
	b := &sandbox{}
	dead := map[int]bool{}
	b.runErr = func(s *slot) error {
		if dead[s.id] && s.runs == 1 {
			return fmt.Errorf("test: %w", pyexec.ErrNotStarted)
		}
		return nil
	}
	bubble(t, 5, b, func(t *testing.T, p *pool.Pool) {
		for _, s := range b.slots() {
			dead[s.id] = true // all of them, as after the OOM killer
		}
		execute(t, p, "1ms")
	})
}

func TestChildrenThatNeverStart(t *testing.T) {
	b := &sandbox{}
	b.runErr = func(*slot) error { return fmt.Errorf("test: %w", pyexec.ErrNotStarted) }
	bubble(t, 2, b, func(t *testing.T, p *pool.Pool) {
		_, err := p.Execute(t.Context(), pyexec.Request{})
		if pyexec.CodeOf(err) != pyexec.CodeUnavailable {
			t.Errorf("error: %v", err)
		}
		var e *pyexec.Error
		if errors.As(err, &e) && e.Started {
			t.Error("the error says that the script had begun")
		}
	})
}

func TestDeadSlotsAreReplaced(t *testing.T) {
	b := &sandbox{}
	bubble(t, 2, b, func(t *testing.T, p *pool.Pool) {
		for _, s := range b.slots() {
			s.die()
		}
		execute(t, p, "1ms")
		time.Sleep(time.Second)
		for _, s := range b.slots() {
			if s.id <= 2 {
				t.Errorf("slot %d is dead and still kept", s.id)
			}
		}
	})
}

// A renewed zygote must not cost a request the start of a slot, and nothing of
// the old one may be kept once runs go on.
func TestStaleSlotsAreReplacedWithoutAWait(t *testing.T) {
	b := &sandbox{}
	bubble(t, 3, b, func(t *testing.T, p *pool.Pool) {
		execute(t, p, "1ms")
		time.Sleep(time.Second)
		b.renew()
		for range 3 {
			if res := execute(t, p, "1ms"); res.Timing.Spawn > 0 {
				t.Errorf("a run waited %v for a child", res.Timing.Spawn)
			}
			time.Sleep(time.Second)
		}
		for _, s := range b.slots() {
			if s.Stale() {
				t.Errorf("slot %d is stale and still kept", s.id)
			}
		}
		if got := p.Stats()["base"].Ready; got != 3 {
			t.Errorf("%d ready, want 3", got)
		}
	})
}

// A slot that was opened just before its zygote died is not the caller's loss.
func TestSlotsThatDieYoung(t *testing.T) {
	b := &sandbox{}
	b.prepErr = func(s *slot) error {
		if s.id <= 2 {
			s.die()
			return errFork
		}
		return nil
	}
	synctest.Test(t, func(t *testing.T) {
		p := newPool(b, 1)
		execute(t, p, "1ms")
		p.Close()
	})
}

func TestFailedStartsAreTold(t *testing.T) {
	b := &sandbox{}
	var healed atomic.Bool
	b.openErr = func(int) error {
		if !healed.Load() {
			return errFork
		}
		return nil
	}
	synctest.Test(t, func(t *testing.T) {
		p := newPool(b, 1)
		p.Fill()
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				_, err := p.Execute(t.Context(), pyexec.Request{})
				if pyexec.CodeOf(err) != pyexec.CodeUnavailable || !errors.Is(err, errFork) {
					t.Errorf("error: %v", err)
				}
			})
		}
		wg.Wait()
		healed.Store(true)
		execute(t, p, "1ms")
		p.Close()
	})
}

func TestCloseWithWaitersAndRuns(t *testing.T) {
	b := &sandbox{}
	synctest.Test(t, func(t *testing.T) {
		p := newPool(b, 1)
		p.Fill()
		time.Sleep(time.Second)
		run, wait := make(chan error, 1), make(chan error, 1)
		go func() { _, err := p.Execute(context.Background(), pyexec.Request{Script: "1h"}); run <- err }()
		synctest.Wait()
		go func() { _, err := p.Execute(context.Background(), pyexec.Request{Script: "1h"}); wait <- err }()
		synctest.Wait()
		began := time.Now()
		p.Close()
		if d := time.Since(began); d > time.Second {
			t.Errorf("Close took %v", d)
		}
		if len(b.live) > 0 {
			t.Errorf("%d slots are left when Close returns", len(b.live))
		}
		if err := <-run; err == nil {
			t.Error("a run went on after Close")
		}
		if err := <-wait; pyexec.CodeOf(err) != pyexec.CodeDraining {
			t.Errorf("a waiter got %v", err)
		}
		if _, err := p.Execute(t.Context(), pyexec.Request{}); pyexec.CodeOf(err) != pyexec.CodeDraining {
			t.Errorf("after Close: %v", err)
		}
		p.Close()
	})
}

// The end of the grace period reaches a request that still waits for a child:
// it is told so, and that it has not begun.
func TestWaiterAtTheEndOfTheGracePeriod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(&sandbox{}, 1)
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(&pyexec.Error{Code: pyexec.CodeUnavailable, Started: true})
		_, err := p.Execute(ctx, pyexec.Request{})
		var e *pyexec.Error
		if !errors.As(err, &e) || e.Code != pyexec.CodeDraining || e.Started {
			t.Errorf("error: %+v", err)
		}
		p.Close()
	})
}
