package quota

import (
	"container/list"
	"context"
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/python-code-executor/pyexec"
)

// Store counts what callers use. [Memory] does for one replica; one that
// replicas share has the same two methods.
type Store interface {
	// Take takes one request from key's bucket of r, which is never zero.
	Take(ctx context.Context, key string, r pyexec.Rate) (Level, error)
	// Enter takes one of key's places, of which there are most; ok is false
	// when none is free. Who entered must call leave, once.
	Enter(ctx context.Context, key string, most int) (leave func(), ok bool, err error)
}

// Level is how full a bucket is after a request.
type Level struct {
	Taken bool          // the request had a token
	Left  int           // whole tokens
	Full  time.Duration // until the bucket is full again
	Next  time.Duration // until there is a token; 0 when there is one
}

// Memory is a Store for one process. It forgets the buckets that were used
// longest ago: a bucket that is forgotten is full, so that many addresses
// cannot take the server's memory, nor anybody's turn.
type Memory struct {
	size int
	now  func() time.Time

	mu      sync.Mutex
	buckets map[string]*list.Element
	order   list.List // of *bucket, the latest used first
	inside  map[string]int
}

type bucket struct {
	key     string
	rate    pyexec.Rate
	limiter *rate.Limiter
}

// NewMemory returns a store of at most size buckets.
func NewMemory(size int) *Memory {
	return &Memory{size: max(size, 1), now: time.Now, buckets: map[string]*list.Element{}, inside: map[string]int{}}
}

// Take implements Store.
func (m *Memory) Take(_ context.Context, key string, r pyexec.Rate) (Level, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	limiter := m.bucket(key, r, now).limiter
	level := Level{Taken: limiter.AllowN(now, 1)}
	tokens := max(limiter.TokensAt(now), 0)
	level.Left = int(tokens)
	level.Full = seconds((float64(r.Size()) - tokens) / r.PerSecond())
	if tokens < 1 {
		level.Next = seconds((1 - tokens) / r.PerSecond())
	}
	return level, nil
}

func seconds(s float64) time.Duration {
	return time.Duration(min(math.Ceil(s*float64(time.Second)), math.MaxInt64/2))
}

// bucket finds or makes key's. A rate that the operator has changed keeps the
// tokens that are left.
func (m *Memory) bucket(key string, r pyexec.Rate, now time.Time) *bucket {
	if e, ok := m.buckets[key]; ok {
		m.order.MoveToFront(e)
		b, _ := e.Value.(*bucket)
		if b.rate != r {
			b.rate = r
			b.limiter.SetLimitAt(now, rate.Limit(r.PerSecond()))
			b.limiter.SetBurstAt(now, r.Size())
		}
		return b
	}
	for len(m.buckets) >= m.size {
		last := m.order.Back()
		if b, ok := m.order.Remove(last).(*bucket); ok {
			delete(m.buckets, b.key)
		}
	}
	b := &bucket{key, r, rate.NewLimiter(rate.Limit(r.PerSecond()), r.Size())}
	b.limiter.AllowN(now, 0) // its time begins now
	m.buckets[key] = m.order.PushFront(b)
	return b
}

// Enter implements Store.
func (m *Memory) Enter(_ context.Context, key string, most int) (leave func(), ok bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.inside[key] >= most {
		return nil, false, nil
	}
	m.inside[key]++
	return sync.OnceFunc(func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.inside[key]--; m.inside[key] == 0 {
			delete(m.inside, key)
		}
	}), true, nil
}

// Len is how many buckets are remembered.
func (m *Memory) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.buckets)
}
