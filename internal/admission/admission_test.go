package admission_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/python-code-executor/pyexec"
	"github.com/python-code-executor/pyexec/internal/admission"
)

// fake is an executor whose runs take the request's Timeout.
type fake struct {
	mu      sync.Mutex
	order   []string
	running int
	most    int
}

func (f *fake) Execute(ctx context.Context, req pyexec.Request) (pyexec.Result, error) {
	f.mu.Lock()
	f.order = append(f.order, req.ID)
	f.running++
	f.most = max(f.most, f.running)
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		f.running--
		f.mu.Unlock()
	}()
	if req.Script == "panic" {
		panic("boom")
	}
	select {
	case <-time.After(req.Timeout):
		return pyexec.Result{}, nil
	case <-ctx.Done():
		return pyexec.Result{}, &pyexec.Error{Code: pyexec.CodeCanceled}
	}
}

type bench struct {
	fake *fake
	*admission.Admission
	answers sync.Map
}

func newBench(opts admission.Options) *bench {
	f := &fake{}
	return &bench{fake: f, Admission: admission.New(opts, f)}
}

// start sends a request and waits until it runs, waits or is answered.
func (b *bench) start(ctx context.Context, caller, id string, d time.Duration) {
	go func() {
		res, err := b.Execute(ctx, pyexec.Request{ID: id, Caller: caller, Timeout: d})
		b.answers.Store(id, answer{res, err})
	}()
	synctest.Wait()
}

type answer struct {
	res pyexec.Result
	err error
}

// code is the answer to id: "" while there is none, "ok" for a run.
func (b *bench) code(id string) pyexec.Code {
	v, ok := b.answers.Load(id)
	if !ok {
		return ""
	}
	if v.(answer).err == nil {
		return "ok"
	}
	return pyexec.CodeOf(v.(answer).err)
}

func (b *bench) want(t *testing.T, id string, want pyexec.Code) {
	t.Helper()
	if got := b.code(id); got != want {
		t.Errorf("answer to %s is %q, want %q", id, got, want)
	}
}

func TestRunsAtMostConcurrency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(admission.Options{Concurrency: 2, Queue: 10})
		for i := range 6 {
			b.start(t.Context(), "c", fmt.Sprint(i), time.Second)
		}
		if got, want := b.Stats(), (admission.Stats{Running: 2, Queued: 4}); got != want {
			t.Errorf("stats %+v, want %+v", got, want)
		}
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if b.fake.most != 2 {
			t.Errorf("%d ran at once, want 2", b.fake.most)
		}
		v, _ := b.answers.Load("5")
		if got := v.(answer).res.Timing.Queue; got != 2*time.Second {
			t.Errorf("the last one's queue time is %v, want 2s", got)
		}
		if got := b.Stats(); got != (admission.Stats{}) {
			t.Errorf("afterwards stats are %+v", got)
		}
	})
}

func TestServesCallersInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(admission.Options{Concurrency: 1, Queue: 10})
		b.start(t.Context(), "x", "x0", time.Second)
		for _, id := range []string{"a1", "a2", "a3", "b1", "b2", "c1"} {
			b.start(t.Context(), id[:1], id, time.Second)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		want := []string{"x0", "a1", "b1", "c1", "a2", "b2", "a3"}
		if !slices.Equal(b.fake.order, want) {
			t.Errorf("served %v, want %v", b.fake.order, want)
		}
	})
}

func TestRefusesBeyondTheLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(admission.Options{Concurrency: 1, Queue: 2})
		for i := range 4 {
			b.start(t.Context(), "c", fmt.Sprint(i), time.Second)
		}
		b.want(t, "2", "")
		b.want(t, "3", pyexec.CodeOverloaded)
		v, _ := b.answers.Load("3")
		var e *pyexec.Error
		if !errors.As(v.(answer).err, &e) || e.RetryAfter < time.Second {
			t.Errorf("refused with %+v, want RetryAfter of 1s or more", e)
		}
	})
}

func TestAFullLineMakesRoomForAnotherCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(admission.Options{Concurrency: 1, Queue: 3})
		for _, id := range []string{"a0", "a1", "a2", "a3", "b1", "b2"} {
			b.start(t.Context(), id[:1], id, time.Second)
		}
		b.want(t, "a3", pyexec.CodeOverloaded) // made room for b1
		b.want(t, "b2", pyexec.CodeOverloaded) // two against one is fair enough
		time.Sleep(time.Minute)
		synctest.Wait()
		for _, id := range []string{"a0", "a1", "a2", "b1"} {
			b.want(t, id, "ok")
		}
	})
}

func TestRefusesWhatWouldWaitTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(admission.Options{Concurrency: 1, Queue: 100, MaxWait: 10 * time.Second})
		b.start(t.Context(), "c", "measured", 4*time.Second)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		for i := range 4 {
			b.start(t.Context(), "c", fmt.Sprint(i), 4*time.Second)
		}
		b.want(t, "2", "") // 8 s
		b.want(t, "3", pyexec.CodeOverloaded)
		v, _ := b.answers.Load("3")
		var e *pyexec.Error
		if !errors.As(v.(answer).err, &e) || e.RetryAfter != 12*time.Second {
			t.Errorf("refused with %+v, want RetryAfter of three runs", e)
		}
		b.start(t.Context(), "d", "other", time.Second)
		b.want(t, "other", "") // its turn comes sooner
	})
}

func TestNobodyWaitsLongerThanMaxWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(admission.Options{Concurrency: 1, Queue: 100, MaxWait: 10 * time.Second})
		b.start(t.Context(), "c", "long", time.Hour)
		b.start(t.Context(), "c", "waits", time.Second)
		time.Sleep(10*time.Second - 1)
		synctest.Wait()
		b.want(t, "waits", "")
		time.Sleep(1) //nolint:staticcheck // the least time that synctest can pass
		synctest.Wait()
		b.want(t, "waits", pyexec.CodeOverloaded)
		if got := b.Stats().Queued; got != 0 {
			t.Errorf("%d still in line", got)
		}
		time.Sleep(time.Hour)
	})
}

func TestAClientThatLeavesTheLineNeverRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(admission.Options{Concurrency: 1, Queue: 1})
		ctx, cancel := context.WithCancel(t.Context())
		b.start(t.Context(), "c", "runs", time.Second)
		b.start(ctx, "c", "leaves", time.Second)
		cancel()
		synctest.Wait()
		b.want(t, "leaves", pyexec.CodeCanceled)
		b.start(t.Context(), "c", "takes its place", time.Second)
		b.start(ctx, "c", "gone before it came", time.Second)
		b.want(t, "gone before it came", pyexec.CodeCanceled)
		time.Sleep(time.Minute)
		synctest.Wait()
		want := []string{"runs", "takes its place"}
		if !slices.Equal(b.fake.order, want) {
			t.Errorf("ran %v, want %v", b.fake.order, want)
		}
	})
}

func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(admission.Options{Concurrency: 1, Queue: 1})
		b.start(t.Context(), "c", "runs", 5*time.Second)
		b.start(t.Context(), "c", "waits", time.Second)
		b.Drain()
		b.Drain()
		synctest.Wait()
		b.want(t, "waits", pyexec.CodeDraining)
		b.start(t.Context(), "c", "late", time.Second)
		b.want(t, "late", pyexec.CodeDraining)

		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := b.Wait(short); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Wait while one runs: %v", err)
		}
		if err := b.Wait(t.Context()); err != nil {
			t.Errorf("Wait: %v", err)
		}
		synctest.Wait()
		b.want(t, "runs", "ok")
	})
}

func TestDrainWhenIdle(t *testing.T) {
	a := admission.New(admission.Options{Concurrency: 1}, &fake{})
	a.Drain()
	if err := a.Wait(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestAPanicGivesItsPlaceBack(t *testing.T) {
	a := admission.New(admission.Options{Concurrency: 1}, &fake{})
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		_, _ = a.Execute(t.Context(), pyexec.Request{Script: "panic"})
	}()
	if got := a.Stats().Running; got != 0 {
		t.Errorf("%d places in use, want 0", got)
	}
}

// TestMemoryBudget: what runs may need together is bounded, smaller runs do
// not overtake a large one, and a run larger than the budget still runs alone.
func TestMemoryBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		running, most := pyexec.Bytes(0), pyexec.Bytes(0)
		var order []string
		next := executorFunc(func(ctx context.Context, req pyexec.Request) (pyexec.Result, error) {
			mu.Lock()
			running += req.Memory
			most = max(most, running)
			order = append(order, req.ID)
			mu.Unlock()
			time.Sleep(time.Second)
			mu.Lock()
			running -= req.Memory
			mu.Unlock()
			return pyexec.Result{}, nil
		})
		a := admission.New(admission.Options{Concurrency: 8, Memory: 100, Queue: 8}, next)
		var all sync.WaitGroup
		for _, r := range []pyexec.Request{
			{ID: "first", Memory: 60}, {ID: "large", Memory: 80}, {ID: "small", Memory: 30}, {ID: "huge", Memory: 500},
		} {
			all.Go(func() {
				if _, err := a.Execute(t.Context(), r); err != nil {
					t.Errorf("%s: %v", r.ID, err)
				}
			})
			synctest.Wait()
		}
		all.Wait()
		if want := []string{"first", "large", "small", "huge"}; !slices.Equal(order, want) {
			t.Errorf("order %v, want %v", order, want)
		}
		if most != 500 { // huge, alone
			t.Errorf("at most %d at once, want 500", most)
		}
	})
}

type executorFunc func(context.Context, pyexec.Request) (pyexec.Result, error)

func (f executorFunc) Execute(ctx context.Context, req pyexec.Request) (pyexec.Result, error) {
	return f(ctx, req)
}
