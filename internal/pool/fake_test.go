package pool_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	pyexec "github.com/python-code-executor/pyexec"
	"github.com/python-code-executor/pyexec/internal/pool"
)

// Durations of the fake's steps; time is synctest's.
const (
	openTime    = 50 * time.Millisecond
	prepareTime = 5 * time.Millisecond
	settleTime  = 2 * time.Millisecond
)

// sandbox makes fake slots and keeps the laws: one run for each Prepare, turns
// in order, nothing after Close, no slot twice.
type sandbox struct {
	mu       sync.Mutex
	live     map[*slot]bool
	opened   int
	most     int // slots alive at once
	stale    int // slots opened before this many are stale
	problems []string
	openErr  func(n int) error // of the nth Open
	prepErr  func(s *slot) error
	runErr   func(s *slot) error
}

func (b *sandbox) problem(format string, args ...any) {
	b.problems = append(b.problems, fmt.Sprintf(format, args...))
}

func (b *sandbox) open(ctx context.Context, kind string) (pool.Slot, error) {
	b.mu.Lock()
	b.opened++
	n := b.opened
	fail := b.openErr
	b.mu.Unlock()
	if err := sleep(ctx, openTime); err != nil {
		return nil, err
	}
	if fail != nil {
		if err := fail(n); err != nil {
			return nil, err
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	s := &slot{box: b, id: n, kind: kind, gone: make(chan struct{}), state: "idle"}
	b.live[s] = true
	b.most = max(b.most, len(b.live))
	return s, nil
}

// slot is a fake Slot. A script is how long it runs, as a Go duration.
type slot struct {
	box   *sandbox
	id    int
	kind  string
	state string // idle, ready, ran, closed
	runs  int
	gone  chan struct{}
	end   sync.Once
}

func (s *slot) move(from, to string) {
	s.box.mu.Lock()
	defer s.box.mu.Unlock()
	if s.state != from {
		s.box.problem("slot %d is %s and went from %s to %s", s.id, s.state, from, to)
	}
	s.state = to
}

func (s *slot) Prepare(ctx context.Context) error {
	if err := sleep(ctx, prepareTime); err != nil {
		return err
	}
	if s.box.prepErr != nil {
		if err := s.box.prepErr(s); err != nil {
			return err
		}
	}
	s.move("idle", "ready")
	return nil
}

func (s *slot) Run(ctx context.Context, req pyexec.Request) (pyexec.Result, error) {
	s.move("ready", "ran")
	s.runs++
	if s.box.runErr != nil {
		if err := s.box.runErr(s); err != nil {
			return pyexec.Result{}, err
		}
	}
	d, _ := time.ParseDuration(req.Script)
	if err := sleep(ctx, d); err != nil {
		return pyexec.Result{}, &pyexec.Error{Code: pyexec.CodeCanceled, Started: true, Err: context.Cause(ctx)}
	}
	return pyexec.Result{Value: []byte(fmt.Sprint(s.id))}, nil
}

func (s *slot) Settle(ctx context.Context) error {
	if err := sleep(ctx, settleTime); err != nil {
		return err
	}
	s.move("ran", "idle")
	return nil
}

func (s *slot) Stale() bool {
	s.box.mu.Lock()
	defer s.box.mu.Unlock()
	return s.id <= s.box.stale
}

func (s *slot) Gone() <-chan struct{} { return s.gone }

func (s *slot) Close() {
	time.Sleep(time.Millisecond)
	s.box.mu.Lock()
	defer s.box.mu.Unlock()
	if s.state == "closed" {
		s.box.problem("slot %d was closed twice", s.id)
	}
	s.state = "closed"
	delete(s.box.live, s)
}

// die is the end of a slot from outside.
func (s *slot) die() { s.end.Do(func() { close(s.gone) }) }

// renew makes every slot that was opened so far stale.
func (b *sandbox) renew() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stale = b.opened
}

func (b *sandbox) openings() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.opened
}

func (b *sandbox) mostAlive() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.most
}

func (b *sandbox) slots() []*slot {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []*slot
	for s := range b.live {
		all = append(all, s)
	}
	return all
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

var errFork = errors.New("no fork")

func newPool(b *sandbox, ready int) *pool.Pool {
	b.live = map[*slot]bool{}
	size := pool.Size{Floor: ready, Start: ready, Ceiling: ready}
	return pool.New(pool.Options{
		Open: b.open, Kind: func(pyexec.Request) string { return "base" },
		Ready: map[string]pool.Size{"base": size}, Running: 2, Log: slog.New(slog.DiscardHandler),
	})
}
