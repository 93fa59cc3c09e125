package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	pyexec "github.com/python-code-executor/pyexec"
	"github.com/python-code-executor/pyexec/internal/httpapi"
	"github.com/python-code-executor/pyexec/internal/jail"
)

// health answers /health by a real run in a slot of its own, so that load
// cannot fail it, and /readyz.
type health struct {
	app *App

	closing  sync.WaitGroup // slots that are being ended
	mu       sync.Mutex     // held over a probe: one at a time
	slot     *jail.Slot
	closed   bool // no slot is to be opened any more
	last     httpapi.Health
	lastTry  time.Time
	lastGood time.Time

	state    sync.Mutex
	draining bool
	tested   bool
}

const (
	probeFresh   = 3 * time.Second        // an answer is not asked for again before
	probeTimeout = 800 * time.Millisecond // of the /health second, with room for the answer
	probeGood    = 10 * time.Second       // a probe that is late does not undo one this young
)

func newHealth(a *App) *health { return &health{app: a} }

// start makes the reserved child ready and probes once: then /readyz is 200.
func (h *health) start() {
	h.mu.Lock()
	defer h.mu.Unlock()
	ctx, cancel := context.WithTimeout(h.app.runs, spawnTimeout)
	defer cancel()
	h.probe(ctx)
	h.state.Lock()
	h.tested = true
	h.state.Unlock()
}

func (h *health) check(context.Context) httpapi.Health {
	if !h.mu.TryLock() {
		// Another request is probing: wait for what it finds.
		h.mu.Lock()
	}
	defer h.mu.Unlock()
	if time.Since(h.lastTry) > probeFresh || (h.last.Reason != "" || h.app.jail.Lacking() != nil) && time.Since(h.lastTry) > probeFresh/10 {
		ctx, cancel := context.WithTimeout(h.app.runs, probeTimeout)
		defer cancel()
		h.probe(ctx) //nolint:contextcheck // ends with its owner, not with a caller
	}
	// Zygotes may have grown since the last probe.
	h.last.Python, h.last.Packages = h.app.jail.Python()
	answer := h.last
	if failed := h.app.jail.Lacking(); failed != nil {
		answer.Reason = "a protection that was there at the start cannot be put in place any more: " + failed.Step
	}
	return answer
}

// probe runs a script in the reserved slot and makes its next child ready
// within the same request, since there may be no CPU after it.
func (h *health) probe(ctx context.Context) {
	err := h.run(ctx)
	h.lastTry = time.Now()
	if err == nil {
		h.lastGood = h.lastTry
	}
	h.last = httpapi.Health{Isolation: h.app.jail.Isolation()}
	if err != nil && time.Since(h.lastGood) > probeGood {
		h.app.log.Error("the health run failed", "error", err)
		h.last.Reason = "a run of the health check did not succeed"
	}
}

var healthScript = pyexec.Request{
	ID: "health", Caller: "health", Script: "def main():\n    return 6 * 7\n",
	Timeout: probeTimeout, Memory: 64 * pyexec.MiB,
}

var errClosed = errors.New("the server is shutting down")

func (h *health) run(ctx context.Context) error {
	if h.closed {
		return errClosed
	}
	if h.slot != nil && (h.slot.Stale() || gone(h.slot)) {
		h.drop()
	}
	if h.slot == nil {
		slot, err := h.app.jail.Slot(ctx, jail.Base)
		if err != nil {
			return err
		}
		h.slot = slot
		if err := slot.Prepare(ctx); err != nil {
			h.drop()
			return err
		}
	}
	res, err := h.slot.Run(ctx, healthScript)
	if err != nil {
		h.drop()
		return err
	}
	// Where the next child is not ready in time, the next probe opens a slot:
	// this run has succeeded or failed all the same.
	if h.slot.Settle(ctx) != nil || h.slot.Prepare(ctx) != nil {
		h.drop()
	}
	if res.Failure != nil {
		return fmt.Errorf("%s: %s", res.Failure.Type, res.Failure.Message)
	}
	if !bytes.Equal(res.Value, []byte("42")) {
		return fmt.Errorf("6 * 7 is %.20s", res.Value)
	}
	return nil
}

func gone(s *jail.Slot) bool {
	select {
	case <-s.Gone():
		return true
	default:
		return false
	}
}

// drop ends the slot; nobody who asks for the health waits for that.
func (h *health) drop() {
	h.closing.Go(h.slot.Close)
	h.slot = nil
}

// ready is nil when runs are taken.
func (h *health) ready() error {
	h.state.Lock()
	defer h.state.Unlock()
	switch {
	case h.draining:
		return &pyexec.Error{Code: pyexec.CodeDraining, Message: "the server is shutting down"}
	case !h.tested:
		return &pyexec.Error{Code: pyexec.CodeUnavailable, Message: "the sandbox is starting"}
	}
	return nil
}

func (h *health) drain() {
	h.state.Lock()
	defer h.state.Unlock()
	h.draining = true
}

func (h *health) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	if h.slot != nil {
		h.drop()
	}
	h.closing.Wait()
}
