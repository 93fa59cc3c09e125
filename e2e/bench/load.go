package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/python-code-executor/pyexec/internal/load"
)

const clientsAtMost = 8

// rateRound keeps 1, 2, 4 and 8 clients busy, each sending its next request
// when it has its answer.
func (b *bench) rateRound(ctx context.Context) error {
	long, short, one := 2500*time.Millisecond, 5*time.Second, 1500*time.Millisecond
	if b.quick {
		long, short, one = 700*time.Millisecond, 1500*time.Millisecond, 500*time.Millisecond
	}
	type turn struct {
		who     target
		what    workload
		clients int
		d       time.Duration
	}
	var loads []turn
	for _, w := range []workload{hello, pandasGroup} {
		for clients := 1; clients <= clientsAtMost; clients *= 2 {
			loads = append(loads, turn{b.ours, w, clients, long})
		}
	}
	loads = append(loads, turn{b.ours, numpySum, 4, one}, turn{b.ours, pureLoop, 4, one},
		turn{b.base, hello, 2, one}, turn{b.base, hello, 4, one}, turn{b.base, pandasGroup, 2, short},
		turn{b.floor, hello, 1, one}, turn{b.floor, pandasGroup, 1, one})
	for _, peer := range b.others {
		loads = append(loads, turn{peer, hello, 4, one}, turn{peer, pandasGroup, 2, short})
	}
	for _, l := range loads {
		m, err := b.closedLoop(ctx, l.who, l.what, l.clients, l.d)
		if err != nil {
			return err
		}
		b.report.add("rate", l.who.name(), l.what.name+" "+clientsText(l.clients), m)
	}
	return nil
}

// closedLoop counts right answers; anything else ends the measurement.
func (b *bench) closedLoop(ctx context.Context, who target, w workload, clients int, d time.Duration) (measured, error) {
	ours := who == target(b.ours) && b.server.usage != nil
	var before, cpu atomic.Int64 // of our server when counting begins; of others, as they say
	r, err := load.Loop{
		Callers: clients, Duration: d,
		// Pools are full and quiet when it begins, so the first answers come
		// from what had been made ready before: they are not counted.
		Lead: 300 * time.Millisecond,
		Begin: func() {
			cpu.Store(0)
			if ours {
				before.Store(int64(b.server.cpu()))
			}
		},
		Call: func(ctx context.Context) error {
			used, err := who.run(ctx, w)
			cpu.Add(int64(used))
			return err
		},
	}.Run(ctx)
	if err != nil {
		return measured{}, err
	}
	used := time.Duration(cpu.Load())
	if ours {
		used = b.server.cpu() - time.Duration(before.Load())
	}
	return measured{Spread: r.Calls.Spread(), PerSecond: r.PerSecond, CPU: milliseconds(used) / float64(len(r.Calls))}, nil
}

// overloadRound sends four times what the server could answer, whether it
// answers or not, and asks /health meanwhile.
func (b *bench) overloadRound(ctx context.Context) error {
	d, measure := 6*time.Second, 2*time.Second
	if b.quick {
		d, measure = 2*time.Second, 500*time.Millisecond
	}
	for _, w := range []workload{hello, pandasGroup} {
		two, err := b.closedLoop(ctx, b.ours, w, 2, measure)
		if err != nil {
			return err
		}
		saturated := two.PerSecond
		for _, clients := range []int{4, clientsAtMost} {
			m, err := b.closedLoop(ctx, b.ours, w, clients, measure)
			if err != nil {
				return err
			}
			saturated = max(saturated, m.PerSecond)
		}
		o := b.openLoop(ctx, w, 4*saturated, d)
		o.Saturated, o.TwoClients = saturated, two.Spread.P99
		b.report.overload(w.name, o)
		if err := b.server.settle(ctx); err != nil {
			return err
		}
	}
	return nil
}

// atMost bounds what is in flight in the open loop, and how many are sent.
const atMost, sentAtMost = 3000, 40000

// openLoop sends at a rate, with Poisson arrivals.
func (b *bench) openLoop(ctx context.Context, w workload, rate float64, d time.Duration) overload {
	ctx, cancel := context.WithTimeout(ctx, d+30*time.Second)
	defer cancel()
	o := overload{Offered: rate}
	var mu sync.Mutex
	var accepted, first, second, refused samples
	inTime, inFlight := 0, 0
	health := make(chan struct{})
	began := time.Now()
	go func() {
		defer close(health)
		o.Health, o.HealthFailed = b.probeHealth(ctx, began.Add(d))
	}()
	var wg sync.WaitGroup
	arrive := time.Duration(0)
	for sent := 0; sent < sentAtMost && ctx.Err() == nil; sent++ {
		arrive += time.Duration(rand.ExpFloat64() / rate * 1e9)
		if arrive > d {
			break
		}
		time.Sleep(time.Until(began.Add(arrive)))
		mu.Lock()
		full := inFlight >= atMost
		if full {
			o.NotSent++
		} else {
			inFlight++
		}
		mu.Unlock()
		if full {
			continue
		}
		// From when it should have been sent: a late sender hides no wait.
		due := began.Add(arrive)
		early := arrive < d/2
		wg.Go(func() {
			_, err := b.ours.run(ctx, w)
			now := time.Now()
			took := now.Sub(due)
			mu.Lock()
			defer mu.Unlock()
			inFlight--
			var no *refusal
			switch {
			case err == nil:
				accepted.Add(took)
				if early {
					first.Add(took)
				} else {
					second.Add(took)
				}
				if now.Before(began.Add(d)) {
					inTime++
				}
			case errors.As(err, &no) && (no.status == http.StatusTooManyRequests || no.status == http.StatusServiceUnavailable):
				refused.Add(took)
				if !no.retryAfter {
					o.NoRetryAfter++
				}
			default:
				o.Wrong++
				o.LastWrong = err.Error()
			}
		})
	}
	wg.Wait()
	<-health
	o.Goodput = float64(inTime) / d.Seconds()
	o.Accepted, o.First, o.Second, o.Refused = accepted.Spread(), first.Spread(), second.Spread(), refused.Spread()
	return o
}

// probeHealth asks every 100 ms on connections of its own.
func (b *bench) probeHealth(ctx context.Context, until time.Time) (spread, int) {
	client := newClient()
	client.Timeout = 5 * time.Second
	defer client.CloseIdleConnections()
	var took samples
	failed := 0
	for time.Now().Before(until) && ctx.Err() == nil {
		began := time.Now()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, b.server.url+"/health", nil)
		if err != nil {
			return took.Spread(), failed + 1
		}
		resp, err := client.Do(req)
		if err == nil {
			resp.Body.Close()
		}
		if err != nil || resp.StatusCode != http.StatusOK {
			failed++
		}
		took.Add(time.Since(began))
		pause(ctx, time.Until(began.Add(100*time.Millisecond)))
	}
	return took.Spread(), failed
}
