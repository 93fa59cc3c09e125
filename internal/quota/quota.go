// Package quota owns how often and how many at once each caller may ask: a
// token bucket and a number of places, each per caller. It refuses before a
// byte of the body is read. It knows only the vocabulary of the root package;
// who the caller is, others have found out.
package quota

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/python-code-executor/pyexec"
)

// Quota decides whether a caller's next request is taken.
type Quota struct {
	store    Store
	fallback pyexec.Caller // limits of a caller that states none
}

// New returns a Quota that counts in store. Of fallback, Rate and Concurrency
// are for callers that have none of their own.
func New(store Store, fallback pyexec.Caller) *Quota {
	return &Quota{store: store, fallback: fallback}
}

// Names of the two policies in the fields of an answer.
const (
	ratePolicy  = "rate"
	placePolicy = "concurrency"
)

// Take takes a request of c's and writes into h the fields RateLimit and
// RateLimit-Policy of draft-ietf-httpapi-ratelimit-headers-11, where c has a
// limit. Unless there is an error, leave must be called when the request has
// been answered.
func (q *Quota) Take(ctx context.Context, c pyexec.Caller, h http.Header) (leave func(), err error) {
	if c.Rate.Count == 0 {
		c.Rate = q.fallback.Rate
	}
	if c.Concurrency == 0 {
		c.Concurrency = q.fallback.Concurrency
	}
	announce(h, c)
	leave = func() {}
	if c.Concurrency > 0 {
		// Before the token: a request that finds no place should not cost one.
		out, ok, err := q.store.Enter(ctx, c.Name, c.Concurrency)
		switch {
		case err != nil:
			return nil, unavailable(err)
		case !ok:
			h.Set("RateLimit", fmt.Sprintf(`"%s";r=0`, placePolicy))
			return nil, &pyexec.Error{
				Code: pyexec.CodeRateLimited, RetryAfter: time.Second,
				Message: fmt.Sprintf("this caller has %d requests at once already, which is its limit: wait for one to end", c.Concurrency),
			}
		}
		leave = out
	}
	if c.Rate.Count > 0 {
		level, err := q.store.Take(ctx, c.Name, c.Rate)
		if err != nil {
			leave()
			return nil, unavailable(err)
		}
		h.Set("RateLimit", fmt.Sprintf(`"%s";r=%d;t=%d`, ratePolicy, level.Left, ceil(reset(level))))
		if !level.Taken {
			leave()
			return nil, &pyexec.Error{
				Code: pyexec.CodeRateLimited, RetryAfter: level.Next,
				Message: fmt.Sprintf("this caller is over its rate of %v: wait as long as Retry-After says", c.Rate),
			}
		}
	}
	return leave, nil
}

// reset is the t of RateLimit: when it is worth asking again, or when all of
// the quota is there again.
func reset(l Level) time.Duration {
	if l.Left == 0 {
		return l.Next
	}
	return l.Full
}

func announce(h http.Header, c pyexec.Caller) {
	var policies []string
	if n := int64(c.Rate.Size()); c.Rate.Count > 0 {
		count := int64(c.Rate.Count)
		window := (int64(c.Rate.Per/time.Second)*n + count - 1) / count // in which the bucket fills
		policies = append(policies, fmt.Sprintf(`"%s";q=%d;w=%d`, ratePolicy, n, max(window, 1)))
	}
	if c.Concurrency > 0 {
		policies = append(policies, `"`+placePolicy+`";q=`+strconv.Itoa(c.Concurrency)+`;qu="concurrent-requests"`)
	}
	if len(policies) > 0 {
		h.Set("RateLimit-Policy", strings.Join(policies, ", "))
	}
}

func ceil(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }

func unavailable(err error) error {
	return &pyexec.Error{
		Code: pyexec.CodeUnavailable, RetryAfter: time.Second,
		Message: "the server cannot count this caller's requests at the moment", Err: err,
	}
}
