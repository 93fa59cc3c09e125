package admission_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/python-code-executor/pyexec"
	"github.com/python-code-executor/pyexec/internal/admission"
)

const (
	loadPlaces = 2
	loadQueue  = 40
	loadRun    = 10 * time.Millisecond
	offered    = 3.3 // times what can be served
)

// TestAnOverloadCutsTheLine sends more than three times what can be served: what
// is accepted waits for no more than one run, hardly a place is ever idle, and
// when it is over the line holds a burst again.
func TestAnOverloadCutsTheLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(admission.Options{Concurrency: loadPlaces, Queue: loadQueue, MaxWait: 10 * time.Second})
		const onset, length = time.Second, 60 * time.Second
		var mu sync.Mutex
		var longest time.Duration
		gaps := rand.New(rand.NewPCG(1, 2)) // arrivals are random, and the same each time
		served := 0
		began := time.Now()
		for i := 0; time.Since(began) < length; i++ {
			late := time.Since(began) > onset
			go func() {
				res, err := b.Execute(t.Context(), pyexec.Request{ID: fmt.Sprint(i), Caller: fmt.Sprint(i % 3), Timeout: loadRun})
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					served++
				}
				if err == nil && late {
					longest = max(longest, res.Timing.Queue)
				}
			}()
			time.Sleep(time.Duration(gaps.ExpFloat64() * float64(loadRun) / loadPlaces / offered))
		}
		time.Sleep(time.Second)
		mu.Lock()
		defer mu.Unlock()
		if most := int(length / loadRun * loadPlaces); served < most*98/100 {
			t.Errorf("%d served, %d could have been", served, most)
		}
		if longest > loadRun {
			t.Errorf("after the first second one still waited %v for runs of %v", longest, loadRun)
		}
		if n := burst(t, b, loadPlaces+loadQueue); n != 0 {
			t.Errorf("afterwards %d of a burst that the line can hold were refused", n)
		}
	})
}

// TestAFewRefusalsLeaveTheLine has a few clients more than there is room for,
// that try again after a second: the line stays as long as it may be.
func TestAFewRefusalsLeaveTheLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(admission.Options{Concurrency: loadPlaces, Queue: loadQueue, MaxWait: 10 * time.Second})
		until := time.Now().Add(10 * time.Second)
		for c := range loadPlaces + loadQueue + 3 {
			go func() {
				for time.Now().Before(until) {
					if _, err := b.Execute(t.Context(), pyexec.Request{Caller: fmt.Sprint(c % 5), Timeout: loadRun}); err != nil {
						time.Sleep(time.Second)
					}
				}
			}()
		}
		for time.Now().Before(until.Add(-time.Second)) {
			time.Sleep(100 * time.Millisecond)
			if n := b.Stats().Queued; n < loadQueue-3 {
				t.Errorf("only %d wait", n)
			}
		}
		time.Sleep(5 * time.Second)
	})
}

// burst sends n requests at once and counts those refused.
func burst(t *testing.T, b *bench, n int) int {
	refused := make(chan bool, n)
	for range n {
		go func() {
			_, err := b.Execute(t.Context(), pyexec.Request{Timeout: loadRun})
			refused <- err != nil
		}()
	}
	count := 0
	for range n {
		if <-refused {
			count++
		}
	}
	return count
}
