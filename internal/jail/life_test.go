package jail

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	pyexec "github.com/python-code-executor/pyexec"
)

var hello = pyexec.Request{Script: "def main():\n    return 42\n"}

func TestSlotOfAJailThatDies(t *testing.T) {
	j := testJail(t, nil)
	s := testSlot(t, j, Base)
	first := j.generation()
	killProcess(first.cmd.Process.Pid)
	eventually(t, "the slot is gone", func() bool {
		select {
		case <-s.Gone():
			return true
		default:
			return false
		}
	})
	if err := s.Prepare(t.Context()); err == nil {
		t.Error("Prepare in a slot that is gone: no error")
	}
	s.Close()
	s = testSlot(t, j, Base)
	if res, err := turn(t, s, hello); err != nil || string(res.Value) != "42" {
		t.Errorf("after the zygote's death: %+v, %v", res, err)
	}
	if j.generation() == first {
		t.Error("no new generation")
	}
}

// A grown zygote can be lost alone, to the OOM killer say; its kind must not
// stay without one.
func TestGrownZygoteDies(t *testing.T) {
	j := testJail(t, nil)
	s := testSlot(t, j, NumPy) // waits until it has grown
	s.Close()
	first := j.generation()
	first.growAll()
	// The youngest zygote is the deepest process of the tree.
	all := descendants(first.cmd.Process.Pid)
	killProcess(all[len(all)-1])
	eventually(t, "another generation", func() bool { return j.generation() != first })
	ctx, cancel := context.WithTimeout(t.Context(), testPatience)
	defer cancel()
	s, err := j.Slot(ctx, Pandas)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
}

func TestRenewal(t *testing.T) {
	j := testJail(t, func(o *Options) { o.MaxRuns = 3 })
	s := testSlot(t, j, Base)
	first := j.generation()
	for range 3 {
		if _, err := turn(t, s, hello); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "another generation", func() bool { return j.generation() != first })
	eventually(t, "the slot is stale", s.Stale)
	if _, err := turn(t, s, hello); err != nil {
		t.Errorf("a stale slot still works: %v", err)
	}
	s.Close()
	eventually(t, "the old zygotes have ended", func() bool {
		select {
		case <-first.exited:
			return true
		default:
			return false
		}
	})
}

// Slots are asked for while generations come and go: none may be handed out
// whose zygote is being stopped.
func TestSlotsAcrossRenewals(t *testing.T) {
	j := testJail(t, func(o *Options) { o.MaxRuns = 1 })
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 8 {
				s, err := j.Slot(ctx, Base)
				if err != nil {
					t.Errorf("slot: %v", err)
					return
				}
				if err := s.Prepare(ctx); err != nil {
					t.Errorf("prepare: %v", err)
				} else if res, err := s.Run(ctx, pyexec.Request{Script: hello.Script, Timeout: 5 * time.Second, Memory: 128 * pyexec.MiB}); err != nil || res.Failure != nil {
					t.Errorf("run: %+v, %v", res.Failure, err)
				}
				s.Close()
			}
		})
	}
	wg.Wait()
}

func TestHoldOfARetiredGeneration(t *testing.T) {
	j := testJail(t, nil)
	g := j.generation()
	if !g.hold() {
		t.Fatal("the current generation cannot be held")
	}
	g.retire()
	if g.hold() {
		t.Error("a retired generation was held")
	}
	g.release()
}

func TestChildDiesUnused(t *testing.T) {
	j := testJail(t, nil)
	s := testSlot(t, j, Base)
	ctx, cancel := context.WithTimeout(t.Context(), testPatience)
	defer cancel()
	for range 3 {
		if err := s.Prepare(ctx); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the child's pidfd is here", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return s.childFD != nil })
		s.kill()
		eventually(t, "the child is dead", func() bool { return len(s.exits) == 1 })
		res, err := s.Run(ctx, pyexec.Request{Script: hello.Script, Timeout: 5 * time.Second, Memory: 128 * pyexec.MiB})
		if !errors.Is(err, pyexec.ErrNotStarted) {
			t.Fatalf("a child that died before the run: %+v, %v", res.Failure, err)
		}
		if err := s.Settle(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if res, err := turn(t, s, hello); err != nil || res.Failure != nil {
		t.Errorf("the slot's next child: %+v, %v", res.Failure, err)
	}
}

// A number that has been given back may be another slot's: giving it back
// twice would make two slots of one number, and of one scratch directory.
func TestCloseTwice(t *testing.T) {
	j := testJail(t, nil)
	ctx, cancel := context.WithTimeout(t.Context(), testPatience)
	defer cancel()
	first, err := j.Slot(ctx, Base)
	if err != nil {
		t.Fatal(err)
	}
	first.Close()
	second := testSlot(t, j, Base)
	first.Close()
	if !j.slots[0] || j.generation().slots != 1 {
		t.Errorf("slots %v, held %d, want the second one's", j.slots, j.generation().slots)
	}
	second.Close()
	if len(j.slots) != 0 || j.generation().slots != 0 {
		t.Errorf("slots %v, held %d, want none", j.slots, j.generation().slots)
	}
}

func TestSlotThatDoesNotStartInTime(t *testing.T) {
	j := testJail(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	g := j.generation()
	for range 20 {
		if s, err := g.root().slot(ctx, g, false); err == nil {
			s.Close()
		}
	}
	if len(j.slots) != 0 || g.slots != 0 {
		t.Errorf("slots %v, held %d, want none", j.slots, g.slots)
	}
}

func TestStartThatIsCanceled(t *testing.T) {
	o := testOptions(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	began := time.Now()
	j, err := Start(ctx, o)
	if err == nil {
		j.Close()
		t.Fatal("no error")
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error: %v", err)
	}
	if d := time.Since(began); d > 5*time.Second {
		t.Errorf("it took %v", d)
	}
}

func TestSlotOfAClosedJail(t *testing.T) {
	j := testJail(t, nil)
	waits := make(chan error, 1)
	g := j.generation()
	g.retire() // a jail between two generations
	go func() {
		_, err := j.Slot(t.Context(), Base)
		waits <- err
	}()
	time.Sleep(20 * time.Millisecond)
	j.Close()
	select {
	case err := <-waits:
		if !errors.Is(err, ErrZygoteGone) {
			t.Errorf("error: %v", err)
		}
	case <-time.After(testPatience):
		t.Error("Slot waits for a jail that is closed")
	}
	j.Close()
}

func TestNothingIsLeft(t *testing.T) {
	files, routines := openFiles(t), goroutines()
	o := testOptions(t)
	j, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), testPatience)
	defer cancel()
	for _, kind := range Kinds {
		s, err := j.Slot(ctx, kind)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Prepare(ctx); err != nil {
			t.Fatal(err)
		}
		short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
		_, _ = s.Run(short, pyexec.Request{
			Script: "def main():\n    while True: print('x' * 1000)\n", Stdin: strings.Repeat("x", 1<<20),
			Timeout: 5 * time.Second, Memory: 128 * pyexec.MiB,
		})
		cancel()
		s.Close()
	}
	pid, dir := j.generation().cmd.Process.Pid, j.dir
	j.Close()
	eventually(t, "no descriptor is left", func() bool { return openFiles(t) <= files+1 }) // +1: the poller's first
	eventually(t, "no goroutine is left", func() bool { return goroutines() <= routines })
	if left := descendants(pid); len(left) > 0 {
		t.Errorf("processes are left: %v", left)
	}
	if found, _ := filepath.Glob(dir); len(found) > 0 {
		t.Errorf("%s is left", dir)
	}
}
