package pyexec

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Caller is who sends a request, and what the operator lets him do. A zero
// limit is the server's own; the others may only lower it.
type Caller struct {
	Name        string // in logs, in the fair line and in quotas
	Key         string // id of the key that he showed, which is no secret; "" without one
	Rate        Rate
	Concurrency int // requests at once
	Timeout     time.Duration
	Memory      Bytes
	Policy      string // level of the check before a run
	Isolation   string // the least that a run of his may have: a level, or layers with commas between
	Allow       Allow  // what his runs may reach; nil: what the server's may, empty: nothing
}

// Reach is what c's runs may reach, of what the server's may.
func (c Caller) Reach(server Allow) Allow {
	if c.Allow == nil {
		return server
	}
	return c.Allow
}

// Lower is l with c's limits.
func (c Caller) Lower(l Limits) Limits {
	if c.Timeout > 0 {
		l.Timeout = min(l.Timeout, c.Timeout)
	}
	if c.Memory > 0 {
		l.Memory = min(l.Memory, c.Memory)
	}
	return l
}

// Policies are the levels of the check before a run, the least strict first.
var Policies = []string{"off", "standard", "strict"}

// Stricter is the stricter of two levels of the check; "" is none at all.
func Stricter(a, b string) string {
	if slices.Index(Policies, a) >= slices.Index(Policies, b) {
		return a
	}
	return b
}

// Rate is how often something may happen: Count times in each Per, at most
// Burst of them at once. The zero Rate has no bound.
type Rate struct {
	Count int
	Per   time.Duration
	Burst int // 0: Count
}

// units of time that a rate may have.
var perUnits = []struct {
	name string
	per  time.Duration
}{{"s", time.Second}, {"m", time.Minute}, {"h", time.Hour}, {"d", 24 * time.Hour}}

// MaxRate bounds Count and Burst of a rate.
const MaxRate = 1_000_000

// ParseRate reads a rate such as 10/s, 600/m, 1000/h or 5000/d; 0 is no bound.
func ParseRate(s string) (Rate, error) {
	if s == "0" {
		return Rate{}, nil
	}
	digits, unit, _ := strings.Cut(s, "/")
	n, err := strconv.ParseUint(digits, 10, 31)
	for _, u := range perUnits {
		if u.name == unit && err == nil && n > 0 && n <= MaxRate {
			return Rate{Count: int(n), Per: u.per}, nil
		}
	}
	return Rate{}, fmt.Errorf("%q is not a rate such as 10/s, 600/m, 1000/h or 5000/d, of at most %d", s, MaxRate)
}

// String is what [ParseRate] reads; the burst is left out.
func (r Rate) String() string {
	if r.Count == 0 {
		return "0"
	}
	for _, u := range perUnits {
		if u.per == r.Per {
			return fmt.Sprintf("%d/%s", r.Count, u.name)
		}
	}
	return fmt.Sprintf("%d/%v", r.Count, r.Per)
}

// PerSecond is the rate in 1/s; infinite when there is no bound.
func (r Rate) PerSecond() float64 {
	if r.Count == 0 || r.Per <= 0 {
		return math.Inf(1)
	}
	return float64(r.Count) / r.Per.Seconds()
}

// Size is how many may come at once.
func (r Rate) Size() int {
	if r.Burst > 0 {
		return r.Burst
	}
	return r.Count
}
