package quota_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/python-code-executor/pyexec"
	"github.com/python-code-executor/pyexec/internal/quota"
)

func take(t *testing.T, q *quota.Quota, c pyexec.Caller) (http.Header, error) {
	t.Helper()
	h := http.Header{}
	leave, err := q.Take(t.Context(), c, h)
	if err == nil {
		leave()
	}
	return h, err
}

func fields(t *testing.T, h http.Header, policy, limit string) {
	t.Helper()
	if got := h.Get("RateLimit-Policy"); got != policy {
		t.Errorf("RateLimit-Policy: %s, want %s", got, policy)
	}
	if got := h.Get("RateLimit"); got != limit {
		t.Errorf("RateLimit: %s, want %s", got, limit)
	}
}

func refused(t *testing.T, err error, after time.Duration) {
	t.Helper()
	var e *pyexec.Error
	if !errors.As(err, &e) || e.Code != pyexec.CodeRateLimited || e.RetryAfter != after {
		t.Errorf("got %+v, want rate_limited with Retry-After %v", err, after)
	}
}

func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := quota.New(quota.NewMemory(10), pyexec.Caller{})
		c := pyexec.Caller{Name: "a", Rate: pyexec.Rate{Count: 2, Per: time.Second, Burst: 4}}
		const policy = `"rate";q=4;w=2`
		for i, want := range []string{`"rate";r=3;t=1`, `"rate";r=2;t=1`, `"rate";r=1;t=2`, `"rate";r=0;t=1`} {
			h, err := take(t, q, c)
			if err != nil {
				t.Errorf("%d: %v", i, err)
			}
			fields(t, h, policy, want)
		}
		h, err := take(t, q, c)
		refused(t, err, 500*time.Millisecond)
		fields(t, h, policy, `"rate";r=0;t=1`)
		other := c
		other.Name = "b"
		if _, err := take(t, q, other); err != nil {
			t.Errorf("another caller: %v", err)
		}
		time.Sleep(500 * time.Millisecond)
		if _, err := take(t, q, c); err != nil {
			t.Errorf("after Retry-After: %v", err)
		}
		if _, err := take(t, q, c); err == nil {
			t.Error("two tokens came in the time of one")
		}
		// The operator lowers the rate: it counts from the next request on.
		time.Sleep(10 * time.Second)
		c.Rate = pyexec.Rate{Count: 1, Per: time.Minute}
		h, err = take(t, q, c)
		if err != nil {
			t.Error(err)
		}
		fields(t, h, `"rate";q=1;w=60`, `"rate";r=0;t=60`)
		_, err = take(t, q, c)
		refused(t, err, time.Minute)
	})
}

func TestConcurrency(t *testing.T) {
	q := quota.New(quota.NewMemory(10), pyexec.Caller{Concurrency: 2})
	c := pyexec.Caller{Name: "a"}
	h := http.Header{}
	first, err := q.Take(t.Context(), c, h)
	if err != nil {
		t.Fatal(err)
	}
	fields(t, h, `"concurrency";q=2;qu="concurrent-requests"`, "")
	second, err := q.Take(t.Context(), c, http.Header{})
	if err != nil {
		t.Fatal(err)
	}
	h = http.Header{}
	_, err = q.Take(t.Context(), c, h)
	refused(t, err, time.Second)
	fields(t, h, `"concurrency";q=2;qu="concurrent-requests"`, `"concurrency";r=0`)
	first()
	first() // a second time frees nobody else's place
	third, err := q.Take(t.Context(), c, http.Header{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := q.Take(t.Context(), c, http.Header{}); err == nil {
		t.Error("leaving twice gave two places")
	}
	second()
	third()
}

// TestAFullPlaceCostsNoToken, nor does a refused token keep a place.
func TestAFullPlaceCostsNoToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := quota.New(quota.NewMemory(10), pyexec.Caller{})
		c := pyexec.Caller{Name: "a", Concurrency: 1, Rate: pyexec.Rate{Count: 2, Per: time.Hour}}
		leave, err := q.Take(t.Context(), c, http.Header{})
		if err != nil {
			t.Fatal(err)
		}
		for range 5 {
			_, err := q.Take(t.Context(), c, http.Header{})
			refused(t, err, time.Second)
		}
		leave()
		h, err := take(t, q, c)
		if err != nil {
			t.Fatal(err)
		}
		fields(t, h, `"rate";q=2;w=3600, "concurrency";q=1;qu="concurrent-requests"`, `"rate";r=0;t=1800`)
		for range 3 {
			_, err := take(t, q, c)
			refused(t, err, 30*time.Minute)
		}
	})
}

func TestNoLimitsNoFields(t *testing.T) {
	q := quota.New(quota.NewMemory(10), pyexec.Caller{})
	for range 1000 {
		h, err := take(t, q, pyexec.Caller{Name: "a"})
		if err != nil || len(h) > 0 {
			t.Fatalf("%v, %v", h, err)
		}
	}
}

// TestOwnLimitsReplaceTheDefault: those of the operator's file count, not the
// ones for callers without.
func TestOwnLimitsReplaceTheDefault(t *testing.T) {
	q := quota.New(quota.NewMemory(10), pyexec.Caller{Rate: pyexec.Rate{Count: 1, Per: time.Hour}})
	own := pyexec.Caller{Name: "a", Rate: pyexec.Rate{Count: 100, Per: time.Hour}}
	for range 2 {
		if _, err := take(t, q, own); err != nil {
			t.Error(err)
		}
	}
	_, err := take(t, q, pyexec.Caller{Name: "b"})
	if err != nil {
		t.Error(err)
	}
	if _, err = take(t, q, pyexec.Caller{Name: "b"}); err == nil {
		t.Error("the default does not hold")
	}
}

// TestManyCallersAreBounded: the store keeps its size, and whom it forgets has
// a full bucket again.
func TestManyCallersAreBounded(t *testing.T) {
	m := quota.NewMemory(3)
	r := pyexec.Rate{Count: 1, Per: time.Hour}
	for i := range 1000 {
		if l, err := m.Take(t.Context(), fmt.Sprint(i), r); err != nil || !l.Taken {
			t.Fatalf("%d: %+v, %v", i, l, err)
		}
		if n := m.Len(); n > 3 {
			t.Fatalf("%d buckets", n)
		}
	}
	if l, _ := m.Take(t.Context(), "999", r); l.Taken {
		t.Error("the latest is forgotten")
	}
}

// TestNeverMoreThanTheRate: in no stretch of time does a caller get more than
// the burst and what the rate gives in it.
func TestNeverMoreThanTheRate(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		rate := pyexec.Rate{
			Count: rapid.IntRange(1, 1000).Draw(r, "count"),
			Per:   rapid.SampledFrom([]time.Duration{time.Second, time.Minute, time.Hour}).Draw(r, "per"),
			Burst: rapid.IntRange(0, 50).Draw(r, "burst"),
		}
		pauses := rapid.SliceOfN(rapid.IntRange(0, int(2*time.Second)), 1, 200).Draw(r, "pauses")
		synctest.Test(t, func(t *testing.T) {
			m := quota.NewMemory(1)
			begun, taken := time.Now(), 0
			for _, pause := range pauses {
				time.Sleep(time.Duration(pause))
				l, err := m.Take(context.Background(), "a", rate)
				if err != nil {
					r.Fatal(err)
				}
				if l.Taken {
					taken++
				}
				if most := float64(rate.Size()) + rate.PerSecond()*time.Since(begun).Seconds(); float64(taken) > most+1e-6 {
					r.Fatalf("%d taken of at most %v", taken, most)
				}
				if l.Left < 0 || l.Left > rate.Size() || l.Full < 0 || l.Next < 0 || (l.Left == 0) != (l.Next > 0) {
					r.Fatalf("%+v", l)
				}
			}
		})
	})
}

func TestMemoryUnderRace(t *testing.T) {
	q := quota.New(quota.NewMemory(2), pyexec.Caller{Concurrency: 3, Rate: pyexec.Rate{Count: pyexec.MaxRate, Per: time.Second}})
	var inside [4]atomic.Int32
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			for range 200 {
				leave, err := q.Take(context.Background(), pyexec.Caller{Name: fmt.Sprint(i % 4)}, http.Header{})
				if err != nil {
					continue
				}
				if n := inside[i%4].Add(1); n > 3 {
					t.Errorf("%d at once", n)
				}
				inside[i%4].Add(-1)
				leave()
			}
		})
	}
	wg.Wait()
}

var structured = regexp.MustCompile(`^"[a-z]+";q=[1-9]\d*(;w=[1-9]\d*)?(;qu="concurrent-requests")?(, "[a-z]+";q=[1-9]\d*(;qu="concurrent-requests")?)?$`)

// FuzzRate: every rate that is read is written the same, and gives fields that
// are well-formed.
func FuzzRate(f *testing.F) {
	for _, s := range []string{"10/s", "600/m", "1/d", "1000000/h", "0", "0/s", "-1/s", "1/", "1/ms", "٣/s", "9999999999/s"} {
		f.Add(s, 3)
	}
	f.Fuzz(func(t *testing.T, s string, burst int) {
		r, err := pyexec.ParseRate(s)
		if err != nil || r.Count == 0 {
			return
		}
		if again, err := pyexec.ParseRate(r.String()); err != nil || again != r {
			t.Fatalf("%q is %v, which is read as %v, %v", s, r, again, err)
		}
		r.Burst = max(burst, 0) % pyexec.MaxRate
		h, err := take(t, quota.New(quota.NewMemory(1), pyexec.Caller{}), pyexec.Caller{Name: "a", Rate: r})
		if err != nil || !structured.MatchString(h.Get("RateLimit-Policy")) {
			t.Fatalf("%q: %v, %v", s, h, err)
		}
	})
}
