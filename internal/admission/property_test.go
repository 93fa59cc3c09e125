package admission_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/python-code-executor/pyexec"
	"github.com/python-code-executor/pyexec/internal/admission"
)

// TestLaws drives the stage with any sequence of arrivals, departures and
// pauses: never more than N run, each request gets exactly one answer, only
// those that were not refused run, and no place is lost.
func TestLaws(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		opts := admission.Options{
			Concurrency: rapid.IntRange(1, 4).Draw(rt, "concurrency"),
			Queue:       rapid.IntRange(0, 6).Draw(rt, "queue"),
			MaxWait:     time.Duration(rapid.IntRange(0, 20).Draw(rt, "max-wait")) * time.Second,
		}
		steps := rapid.SliceOfN(rapid.Custom(drawStep), 1, 60).Draw(rt, "steps")
		var problem string
		synctest.Test(t, func(*testing.T) { problem = play(opts, steps) })
		if problem != "" {
			rt.Fatal(problem)
		}
	})
}

type step struct {
	kind   string
	caller string
	length time.Duration
	which  int
}

func drawStep(t *rapid.T) step {
	return step{
		kind:   rapid.SampledFrom([]string{"arrive", "arrive", "arrive", "cancel", "sleep"}).Draw(t, "kind"),
		caller: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "caller"),
		length: time.Duration(rapid.IntRange(0, 5000).Draw(t, "ms")) * time.Millisecond,
		which:  rapid.IntRange(0, 100).Draw(t, "which"),
	}
}

func play(opts admission.Options, steps []step) string {
	b := newBench(opts)
	var answered atomic.Int64
	var cancels []context.CancelFunc
	for _, s := range steps {
		switch s.kind {
		case "arrive":
			ctx, cancel := context.WithCancel(context.Background())
			cancels = append(cancels, cancel)
			id := fmt.Sprint(len(cancels))
			go func() {
				_, err := b.Execute(ctx, pyexec.Request{ID: id, Caller: s.caller, Timeout: s.length})
				answered.Add(1)
				b.answers.Store(id, answer{err: err})
			}()
		case "cancel":
			if len(cancels) > 0 {
				cancels[s.which%len(cancels)]()
			}
		case "sleep":
			time.Sleep(s.length)
		}
		if s.which%2 == 0 {
			synctest.Wait()
		}
		if st := b.Stats(); st.Running > opts.Concurrency || st.Queued > opts.Queue ||
			(st.Queued > 0 && st.Running < opts.Concurrency) {
			return fmt.Sprintf("stats %+v with %+v", st, opts)
		}
	}
	time.Sleep(time.Hour)
	synctest.Wait()
	for _, cancel := range cancels {
		cancel()
	}
	b.Drain()
	switch {
	case int(answered.Load()) != len(cancels):
		return fmt.Sprintf("%d requests got %d answers", len(cancels), answered.Load())
	case b.Stats() != admission.Stats{}:
		return fmt.Sprintf("places lost: %+v", b.Stats())
	case b.fake.most > opts.Concurrency:
		return fmt.Sprintf("%d ran at once with %+v", b.fake.most, opts)
	}
	ran := map[string]bool{}
	for _, id := range b.fake.order {
		if ran[id] {
			return "ran twice: " + id
		}
		ran[id] = true
	}
	for i := range cancels {
		id := fmt.Sprint(i + 1)
		if code := b.code(id); ran[id] != (code == "ok") && code != pyexec.CodeCanceled {
			return fmt.Sprintf("request %s: ran %v, answer %q", id, ran[id], code)
		}
	}
	return ""
}

// TestUnderContention is for the race detector: real time, many callers that
// come and go.
func TestUnderContention(t *testing.T) {
	b := newBench(admission.Options{Concurrency: 3, Queue: 8, MaxWait: time.Second})
	done := make(chan struct{})
	const callers, each = 20, 50
	for c := range callers {
		go func() {
			defer func() { done <- struct{}{} }()
			for range each {
				ctx, cancel := context.WithTimeout(context.Background(), rand.N(2*time.Millisecond))
				_, _ = b.Execute(ctx, pyexec.Request{Caller: fmt.Sprint(c % 5), Timeout: rand.N(time.Millisecond)})
				cancel()
			}
		}()
	}
	for range callers {
		<-done
	}
	if got := b.Stats(); got != (admission.Stats{}) {
		t.Errorf("places lost: %+v", got)
	}
	if b.fake.most > 3 {
		t.Errorf("%d ran at once, want at most 3", b.fake.most)
	}
}
