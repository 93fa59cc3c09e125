package main

import (
	"fmt"
	"math"
	"strings"
)

func clientsText(n int) string {
	if n == 1 {
		return "c=1"
	}
	return fmt.Sprintf("c=%d", n)
}

func isLoadOf(what, workload string) bool { return strings.HasPrefix(what, workload+" c=") }

// The names of the targets, as rows have them.
const ours, cold, baseline, judge = "pyexec", "python3 -I -c pass", "nsjail + python3", "go-judge"

// judge compares with the targets of issue 4. What was not measured is left out.
func (r *report) judge() {
	atMost := func(what, unit string, got, limit float64) {
		r.check(check{What: what, Unit: unit, Got: got, Limit: limit, AtMost: true})
	}
	atLeast := func(what, unit string, got, limit float64) {
		r.check(check{What: what, Unit: unit, Got: got, Limit: limit})
	}
	R := r.find("latency", cold, "pass")
	latency := func(what string) *row { return r.find("latency", ours, what) }
	for _, l := range []struct {
		what     string
		mid, far float64
	}{{"hello", 0.12, 0.4}, {"pandas", 0.2, 0.5}} {
		atMost(l.what+", one at a time, p50", "R", latency(l.what).against(R, p50, p50), l.mid)
		atMost(l.what+", one at a time, p99", "R", latency(l.what).against(R, p99, p50), l.far)
	}
	atMost("pandas, pool drained, p50", "R", latency("pandas, pool drained").against(R, p50, p50), 3)

	for _, l := range []struct {
		what  string
		least float64
	}{{"hello", 4}, {"pandas", 10}} {
		mine := r.best(ours, l.what)
		atLeast(l.what+", saturated", "× baseline", mine.against(r.best(baseline, l.what), perSecond, perSecond), l.least)
		if l.what == "hello" {
			atLeast("hello, saturated", "× go-judge", mine.against(r.best(judge, l.what), perSecond, perSecond), 3)
		}
	}
	for _, what := range []string{"hello", "pandas"} {
		if len(r.Overload[what]) == 0 {
			continue
		}
		name := what + ", 4 × overload: "
		over := func(f func(overload) float64) float64 { return r.over(what, f) }
		most := func(f func(overload) float64) float64 { return r.worst(what, f) }
		atLeast(name+"goodput", "of saturated", over(func(o overload) float64 { return o.Goodput / o.Saturated }), 0.9)
		atMost(name+"accepted p99", "× at 2 clients", over(func(o overload) float64 { return o.Accepted.P99 / o.TwoClients }), 3)
		atMost(name+"accepted p99, 2nd half", "× at 2 clients", over(func(o overload) float64 { return o.Second.P99 / o.TwoClients }), 3)
		// The issue says flat; a fifth more is within what rounds differ by.
		atMost(name+"accepted p99, 2nd half", "× 1st half", over(func(o overload) float64 { return o.Second.P99 / o.First.P99 }), 1.2)
		atMost(name+"refusals p99", "R", over(func(o overload) float64 { return o.Refused.P99 })/R.mid(p50), 0.25)
		atMost(name+"refusals without Retry-After", "", most(func(o overload) float64 { return float64(o.NoRetryAfter) }), 0)
		atMost(name+"wrong or lost answers", "", most(func(o overload) float64 { return float64(o.Wrong) }), 0)
		atMost(name+"/health not 200", "", most(func(o overload) float64 { return float64(o.HealthFailed) }), 0)
		atMost(name+"/health p99, worst round", "ms", most(func(o overload) float64 { return o.Health.P99 }), 1000)
	}
	atMost("exec to first hello", "R", r.find("start", ours, "hello").against(R, p50, p50), 8)
	atMost("exec to first pandas", "R", r.find("start", ours, "pandas").against(R, p50, p50), 18)
	beside := func(what string) *row { return r.find("neighbour", ours, what) }
	atMost("beside one at 10 × its rate, p99", "× beside it at its rate", beside(overRate).against(beside(atRate), p99, p99), 1.5)
	if m := r.Memory; m != nil {
		atMost(fmt.Sprintf("idle, %d ready children, PSS", m.Children), "MB", m.Idle, 140)
		atMost("ready child, bare, PSS", "MB", m.PerReady["base"], 4)
		atMost("ready child, pandas, PSS", "MB", m.PerReady["pandas"], 10)
		atMost("pandas run in flight, more PSS", "MB", m.InFlight, 10)
	}
	// From the first quarter on: until then pools grow to what the load asks for.
	if n := len(r.Flat); n > 2 {
		before, after := r.Flat[1], r.Flat[n-1]
		runs := fmt.Sprintf("after %d runs, from the %dth on: ", after.Runs, before.Runs)
		atMost(runs+"PSS", "× before", after.PSS/before.PSS, 1.1)
		atMost(runs+"processes more", "", float64(after.Processes-before.Processes), 0)
		atMost(runs+"descriptors more", "", float64(after.Files-before.Files), 2)
		atMost(runs+"cgroups more", "", float64(after.Groups-before.Groups), 0)
		atMost(runs+"mounts more", "", float64(after.Mounts-before.Mounts), 0)
	}
}

func (r *report) check(c check) {
	if math.IsNaN(c.Got) || math.IsInf(c.Got, 0) {
		return
	}
	c.Pass = c.AtMost && c.Got <= c.Limit || !c.AtMost && c.Got >= c.Limit
	r.Checks = append(r.Checks, c)
}

// worst is the largest of all rounds.
func (r *report) worst(what string, f func(overload) float64) float64 {
	worst := math.NaN()
	for _, o := range r.Overload[what] {
		if v := f(o); !(v <= worst) {
			worst = v
		}
	}
	return worst
}
