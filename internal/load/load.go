// Package load keeps a number of callers busy and sums up how long their calls
// took. It knows nothing of HTTP or of this project: pyexec bench and the
// repository's own benchmark both measure with it.
package load

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"sync"
	"time"
)

// Spread is how long calls took, in milliseconds.
type Spread struct {
	P50 float64 `json:"p50_ms"`
	P90 float64 `json:"p90_ms"`
	P99 float64 `json:"p99_ms"`
	N   int     `json:"n"`
}

// MarshalJSON writes null where there were no calls.
func (s Spread) MarshalJSON() ([]byte, error) {
	if s.N == 0 {
		return []byte("null"), nil
	}
	type plain Spread
	return json.Marshal(plain(s))
}

// Samples are durations in milliseconds.
type Samples []float64

// Add appends a duration.
func (s *Samples) Add(d time.Duration) { *s = append(*s, float64(d)/1e6) }

// Spread uses the nearest rank: the p99 of fewer than 100 samples is the largest.
func (s Samples) Spread() Spread {
	return Spread{s.Percentile(50), s.Percentile(90), s.Percentile(99), len(s)}
}

// Percentile is NaN where there are no samples.
func (s Samples) Percentile(p float64) float64 {
	if len(s) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(s))
	return sorted[max(0, int(math.Ceil(p/100*float64(len(sorted))))-1)]
}

// Loop is a closed loop: each caller makes its next call when it has the
// answer of the one before.
type Loop struct {
	Callers  int
	Duration time.Duration
	// Lead is how long calls are made before they are counted: the first ones
	// find pools full and connections closed.
	Lead time.Duration
	// Begin is called when counting begins; nil is nothing.
	Begin func()
	// Call makes one call. Its error ends the loop, unless Tolerate accepts it.
	Call     func(context.Context) error
	Tolerate func(error) bool
}

// Report is what a loop found.
type Report struct {
	Calls     Samples // that succeeded, while they were counted
	PerSecond float64
	Failed    int // calls whose error was tolerated
}

// ErrNoCalls means that not one call ended while calls were counted.
var ErrNoCalls = errors.New("no call has ended in the time given")

// Run runs the loop to its end.
func (l Loop) Run(ctx context.Context) (Report, error) {
	var mu sync.Mutex
	var r Report
	var failed error
	began := time.Now()
	from, until := began.Add(l.Lead), began.Add(l.Lead+l.Duration)
	if l.Begin != nil {
		begin := time.AfterFunc(l.Lead, l.Begin)
		defer begin.Stop()
	}
	last := from
	one := func() (goOn bool) {
		sent := time.Now()
		err := l.Call(ctx)
		now := time.Now()
		mu.Lock()
		defer mu.Unlock()
		switch {
		case err != nil && (l.Tolerate == nil || !l.Tolerate(err)):
			failed = errors.Join(failed, err)
		case now.Before(from):
		case err != nil:
			r.Failed++
		default:
			r.Calls.Add(now.Sub(sent))
			last = now
		}
		return failed == nil && ctx.Err() == nil
	}
	var callers sync.WaitGroup
	for range l.Callers {
		callers.Go(func() {
			for time.Now().Before(until) && one() {
			}
		})
	}
	callers.Wait()
	switch {
	case failed != nil:
		return r, failed
	case len(r.Calls) == 0:
		return r, errors.Join(ErrNoCalls, ctx.Err())
	}
	r.PerSecond = float64(len(r.Calls)) / last.Sub(from).Seconds()
	return r, ctx.Err()
}
