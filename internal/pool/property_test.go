package pool_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	pyexec "github.com/python-code-executor/pyexec"
)

type step struct {
	what  string
	which int
	ms    int
}

func drawStep(t *rapid.T) step {
	return step{
		what:  rapid.SampledFrom([]string{"run", "run", "run", "cancel", "die", "renew", "unused", "fail", "sleep"}).Draw(t, "what"),
		which: rapid.IntRange(0, 9).Draw(t, "which"),
		ms:    rapid.IntRange(0, 200).Draw(t, "ms"),
	}
}

// TestLaws drives the pool with any sequence of runs, departures, deaths and
// renewals: a child serves one run, no slot is lost or closed twice, no more
// are alive than runs, ready children and spares explain, every run gets one
// answer, and the pool is whole again when the trouble has passed.
func TestLaws(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		ready := rapid.IntRange(0, 3).Draw(rt, "ready")
		steps := rapid.SliceOfN(rapid.Custom(drawStep), 1, 40).Draw(rt, "steps")
		var problem string
		synctest.Test(t, func(*testing.T) { problem = play(ready, steps) })
		if problem != "" {
			rt.Fatal(problem)
		}
	})
}

func play(ready int, steps []step) string {
	b := &sandbox{}
	unused, failing := 0, 0
	b.runErr = func(*slot) error {
		b.mu.Lock()
		defer b.mu.Unlock()
		if unused > 0 {
			unused--
			return pyexec.ErrNotStarted
		}
		return nil
	}
	b.openErr = func(int) error {
		b.mu.Lock()
		defer b.mu.Unlock()
		if failing > 0 {
			failing--
			return errFork
		}
		return nil
	}
	p := newPool(b, ready)
	p.Fill()
	answers := make(chan error, len(steps)+1)
	var cancels []context.CancelFunc
	for _, s := range steps {
		switch s.what {
		case "run":
			ctx, cancel := context.WithCancel(context.Background())
			cancels = append(cancels, cancel)
			go func() {
				_, err := p.Execute(ctx, pyexec.Request{Script: fmt.Sprintf("%dms", s.ms)})
				answers <- err
			}()
		case "cancel":
			if len(cancels) > 0 {
				cancels[s.which%len(cancels)]()
			}
		case "die":
			for _, victim := range b.slots() {
				if victim.id%10 == s.which {
					victim.die()
				}
			}
		case "renew":
			b.renew()
		case "unused":
			b.mu.Lock()
			unused = s.which % 3
			b.mu.Unlock()
		case "fail":
			b.mu.Lock()
			failing = s.which % 3
			b.mu.Unlock()
		case "sleep":
			time.Sleep(time.Duration(s.ms) * time.Millisecond)
		}
		if n := p.Stats()["base"].Ready; n > ready {
			return fmt.Sprintf("%d ready, of at most %d", n, ready)
		}
	}
	time.Sleep(time.Minute)
	for range cancels {
		select {
		case <-answers:
		default:
			return "a run has no answer"
		}
	}
	// A run and its successor, the shelf and those that replace it, the spares.
	if most := 2*len(cancels) + 2*ready + 2; b.mostAlive() > most {
		return fmt.Sprintf("%d slots at once, of at most %d", b.mostAlive(), most)
	}
	// The trouble is over: a run succeeds, and then the shelf is full.
	b.mu.Lock()
	unused, failing = 0, 0
	b.mu.Unlock()
	if _, err := p.Execute(context.Background(), pyexec.Request{Script: "1ms"}); err != nil {
		return "when the trouble had passed: " + err.Error()
	}
	time.Sleep(time.Minute)
	if n := p.Stats()["base"].Ready; n != ready {
		return fmt.Sprintf("%d ready in the end, want %d", n, ready)
	}
	p.Close()
	if len(b.live) > 0 {
		return fmt.Sprintf("%d slots are lost", len(b.live))
	}
	if len(b.problems) > 0 {
		return b.problems[0]
	}
	for _, cancel := range cancels {
		cancel()
	}
	return ""
}
