package main

import (
	"context"
	"time"
)

// item is one line of the latency part: who runs what, how often in a round.
type item struct {
	who   target
	what  workload
	count int
	think bool // pause before each, so that a pool can refill
}

// blocks is in how many turns a round goes through all items, so that a
// neighbour's burst on the machine meets all of them.
const blocks = 4

// latencyRound sends one request at a time to everybody in turn.
func (b *bench) latencyRound(ctx context.Context) error {
	n := func(full, quick int) int {
		if b.quick {
			return quick
		}
		return full
	}
	items := []item{
		{b.cold, workload{name: "pass"}, n(24, 12), false},
		{b.base, hello, n(12, 4), false},
		{b.base, pandasGroup, n(4, 1), false},
		{b.floor, hello, n(24, 8), false},
		{b.floor, pandasGroup, n(24, 8), false},
		{b.ours, hello, n(120, 24), true},
		{b.ours, numpySum, n(40, 8), true},
		{b.ours, pandasGroup, n(120, 24), true},
		{b.ours, pureLoop, n(40, 8), true},
	}
	for _, peer := range b.others {
		items = append(items, item{peer, hello, n(20, 4), false}, item{peer, pandasGroup, n(4, 1), false})
	}
	taken := make([]samples, len(items))
	cpu := make([]time.Duration, len(items))
	var drained samples
	for block := range blocks {
		for i, it := range items {
			for range it.count*(block+1)/blocks - it.count*block/blocks {
				if it.think {
					pause(ctx, b.think)
				}
				began := time.Now()
				used, err := it.who.run(ctx, it.what)
				if err != nil {
					return err
				}
				taken[i].Add(time.Since(began))
				cpu[i] += used
			}
		}
		for range n(4, 1) {
			d, err := b.drained(ctx)
			if err != nil {
				return err
			}
			drained.Add(d)
		}
	}
	for i, it := range items {
		m := measured{Spread: taken[i].Spread(), CPU: milliseconds(cpu[i]) / float64(len(taken[i]))}
		b.report.add("latency", it.who.name(), it.what.name, m)
	}
	b.report.add("latency", b.ours.name(), "pandas, pool drained", measured{Spread: drained.Spread()})
	return nil
}

// drained takes all ready children at once and then asks for one more, while
// others are being made ready as well: the worst moment to come.
func (b *bench) drained(ctx context.Context) (time.Duration, error) {
	pause(ctx, 4*b.think)
	all := b.ready("pandas")
	errs := make(chan error, all)
	for range all {
		go func() {
			_, err := b.ours.run(ctx, pandasGroup)
			errs <- err
		}()
	}
	var failed error
	for range all {
		if err := <-errs; err != nil {
			failed = err
		}
	}
	if failed != nil {
		return 0, failed
	}
	began := time.Now()
	_, err := b.ours.run(ctx, pandasGroup)
	return time.Since(began), err
}

// ready counts the children of a kind that wait now; where they cannot be
// told apart it is 4.
func (b *bench) ready(kind string) int {
	found := 0
	all, err := inspect(b.server.tree(), b.server.pid)
	for _, p := range all {
		if p.role == "child" && p.kind == kind {
			found++
		}
	}
	if err != nil || found == 0 {
		return 4
	}
	return min(found, 64)
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

func milliseconds(d time.Duration) float64 { return float64(d) / 1e6 }

// startRound starts the server afresh: how long from exec to a right answer.
func (b *bench) startRound(ctx context.Context) error {
	s, err := startServer(ctx, b.options)
	if err != nil {
		return err
	}
	listening := time.Since(s.began)
	type first struct {
		what workload
		took time.Duration
		err  error
	}
	got := make(chan first, 2)
	for _, w := range []workload{hello, pandasGroup} {
		go func() {
			t := &httpTarget{title: "pyexec", url: s.url, call: adapters["pyexec"], client: newClient()}
			defer t.close()
			took, err := s.firstAnswer(ctx, t, w)
			got <- first{w, took, err}
		}()
	}
	for range 2 {
		f := <-got
		if f.err != nil {
			err = f.err
			continue
		}
		b.report.add("start", b.ours.name(), f.what.name, measured{Spread: samples{milliseconds(f.took)}.Spread()})
	}
	b.report.add("start", b.ours.name(), "listens", measured{Spread: samples{milliseconds(listening)}.Spread()})
	if stopped := s.stop(); err == nil {
		err = stopped
	}
	return err
}
