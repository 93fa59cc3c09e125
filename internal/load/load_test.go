package load_test

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/python-code-executor/pyexec/internal/load"
)

func TestSpreadIsOfTheNearestRank(t *testing.T) {
	var s load.Samples
	for i := 100; i >= 1; i-- {
		s.Add(time.Duration(i) * time.Millisecond)
	}
	if got, want := s.Spread(), (load.Spread{P50: 50, P90: 90, P99: 99, N: 100}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if !math.IsNaN(load.Samples(nil).Percentile(50)) {
		t.Error("a percentile of nothing is a number")
	}
	if text, err := json.Marshal(load.Samples(nil).Spread()); err != nil || string(text) != "null" {
		t.Errorf("nothing is %s, %v", text, err)
	}
}

func TestLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls, begun atomic.Int64
		r, err := load.Loop{
			Callers: 2, Lead: time.Second, Duration: 10 * time.Second,
			Begin: func() { begun.Store(calls.Load()) },
			Call: func(context.Context) error {
				time.Sleep(100 * time.Millisecond)
				if calls.Add(1)%10 == 0 {
					return errBusy
				}
				return nil
			},
			Tolerate: func(err error) bool { return errors.Is(err, errBusy) },
		}.Run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		// 20 calls in the lead, of which one or two end with it; then 200, a
		// tenth of which fail.
		if n := len(r.Calls); n < 178 || n > 184 || r.Failed < 19 || r.Failed > 22 || begun.Load() < 18 || begun.Load() > 20 {
			t.Errorf("%d calls, %d failed, counted from call %d", n, r.Failed, begun.Load())
		}
		if s := r.Calls.Spread(); s.P50 != 100 || s.P99 != 100 || math.Abs(r.PerSecond-18) > 0.5 {
			t.Errorf("%+v, %.1f a second", s, r.PerSecond)
		}
	})
}

var errBusy = errors.New("busy")

func TestAnErrorEndsTheLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		_, err := load.Loop{Callers: 3, Duration: time.Hour, Call: func(context.Context) error {
			time.Sleep(time.Second)
			return errBusy
		}}.Run(t.Context())
		if !errors.Is(err, errBusy) || time.Since(began) != time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

func TestNoCallsAreAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, err := load.Loop{
			Callers: 1, Duration: time.Second, Call: func(context.Context) error { return errBusy },
			Tolerate: func(error) bool { time.Sleep(time.Millisecond); return true },
		}.Run(t.Context())
		if !errors.Is(err, load.ErrNoCalls) {
			t.Errorf("got %v", err)
		}
	})
}
