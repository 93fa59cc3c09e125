package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Rates of the loud neighbour, in requests a second.
const (
	loudRate = 20
	loudBusy = 10 * loudRate
)

// What the quiet caller has beside it.
const (
	nobody    = "quiet, alone"
	atRate    = "quiet, beside one at its rate"
	overRate  = "quiet, beside one at 10 × its rate"
	unlimited = "quiet, beside the same without a rate"
)

// neighbourRound has a caller send one request after the other, alone and
// beside another one that sends at a rate, whether it is answered or not. All
// have keys; the last line shows what the rate limit is good for.
func (b *bench) neighbourRound(ctx context.Context) (err error) {
	d := 6 * time.Second
	if b.quick {
		d = 2 * time.Second
	}
	file := filepath.Join(b.dir, "keys.yaml")
	defer os.Remove(file)
	callers := map[string]*httpTarget{}
	for _, name := range []string{"quiet", "loud", "unlimited"} {
		if callers[name], err = newCaller(ctx, b, file, name); err != nil {
			return err
		}
		defer callers[name].close()
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	limited := strings.Replace(string(text), "- name: loud\n", fmt.Sprintf("- name: loud\n    rate: %d/s\n", loudRate), 1)
	if err := os.WriteFile(file, []byte(limited), 0o600); err != nil {
		return err
	}
	s, err := startServer(ctx, b.options, "--require-auth", "--keys-file="+file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	for _, c := range callers {
		c.url = s.url
	}
	if _, err := s.firstAnswer(ctx, callers["quiet"], hello); err != nil {
		return err
	}
	for _, turn := range []struct {
		what string
		loud *httpTarget
		rate int
	}{
		{nobody, nil, 0}, {atRate, callers["loud"], loudRate}, {overRate, callers["loud"], loudBusy}, {unlimited, callers["unlimited"], loudBusy},
	} {
		if err := s.settle(ctx); err != nil {
			return err
		}
		stop := func() error { return nil }
		if turn.loud != nil {
			stop = turn.loud.shout(ctx, turn.rate)
			pause(ctx, 1500*time.Millisecond) // its burst is over
		}
		took, err := callers["quiet"].one(ctx, d)
		if err := errors.Join(err, stop()); err != nil {
			return err
		}
		b.report.add("neighbour", "pyexec", turn.what, measured{Spread: took.Spread(), PerSecond: float64(len(took)) / d.Seconds()})
	}
	return nil
}

// newCaller makes a key, and a target that sends it.
func newCaller(ctx context.Context, b *bench, file, name string) (*httpTarget, error) {
	key, err := exec.CommandContext(ctx, b.binary, "keys", "create", "--keys-file", file, "--caller", name).Output()
	if err != nil {
		return nil, fmt.Errorf("pyexec keys create: %w", err)
	}
	call := adapters["pyexec"]
	call.header = maps.Clone(call.header)
	if call.header == nil {
		call.header = map[string]string{}
	}
	call.header["Authorization"] = "Bearer " + strings.TrimSpace(string(key))
	return &httpTarget{title: name, call: call, client: newClient()}, nil
}

// one sends a request after the other, with a pause between, for d.
func (t *httpTarget) one(ctx context.Context, d time.Duration) (samples, error) {
	var took samples
	for until := time.Now().Add(d); time.Now().Before(until); {
		sent := time.Now()
		if _, err := t.run(ctx, hello); err != nil {
			return took, fmt.Errorf("the quiet caller: %w", err)
		}
		took.Add(time.Since(sent))
		pause(ctx, 10*time.Millisecond)
	}
	return took, nil
}

// shout sends at a rate until stop is called, which tells what went wrong:
// a refusal that says when to come again is not.
func (t *httpTarget) shout(ctx context.Context, rate int) (stop func() error) {
	ctx, cancel := context.WithCancel(ctx)
	var mu sync.Mutex
	var wrong error
	var all sync.WaitGroup
	all.Go(func() {
		tick := time.NewTicker(time.Second / time.Duration(rate))
		defer tick.Stop()
		places := make(chan struct{}, 256) // more than it may ever have open
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			places <- struct{}{}
			all.Go(func() {
				defer func() { <-places }()
				_, err := t.run(ctx, hello)
				var no *refusal
				if err == nil || ctx.Err() != nil || errors.As(err, &no) && no.retryAfter {
					return
				}
				mu.Lock()
				defer mu.Unlock()
				if wrong == nil {
					wrong = fmt.Errorf("the loud caller: %w", err)
				}
			})
		}
	})
	return func() error {
		cancel()
		all.Wait()
		return wrong
	}
}
