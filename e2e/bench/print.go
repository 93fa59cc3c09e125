package main

import (
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
)

// header says what the figures were taken on.
func (r *report) header(w io.Writer) {
	for _, key := range slices.Sorted(maps.Keys(r.Machine)) {
		fmt.Fprintf(w, "%s: %s\n", key, r.Machine[key])
	}
	fmt.Fprintln(w)
}

func (r *report) print(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "what\tp50 ms\tp90\tp99\truns/s\tCPU ms/run\tp50/R\tp99/R\t× baseline\t")
	R := r.find("latency", cold, "pass")
	for _, part := range []string{"latency", "rate", "start", "neighbour"} {
		for _, x := range r.Rows {
			if x.Part == part {
				fmt.Fprintf(t, "%s %s, %s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", x.Part, x.Who, x.What,
					figure(x.mid(p50)), figure(x.mid(p90)), figure(x.mid(p99)),
					known(x.mid(perSecond)), known(x.mid(cpuEach)),
					figure(x.against(R, p50, p50)), figure(x.against(R, p99, p50)), figure(r.times(x)))
			}
		}
	}
	_ = t.Flush()
	fmt.Fprintf(w, "\nMedians of %d rounds; R is the p50 of cold python3 -I -c pass in the same round, the\nbaseline nsjail + python3 for each request. Times baseline: runs/s, or how much shorter p50 is.\n\n", r.rounds())
	for _, what := range slices.Sorted(maps.Keys(r.Overload)) {
		of := func(f func(overload) float64) string { return figure(r.over(what, f)) }
		fmt.Fprintf(w, "open loop, %s: offered %s/s, saturated %s/s, goodput %s/s; accepted p50 %s p99 %s ms (p99 at 2 clients %s), refused p50 %s p99 %s ms, health p99 %s ms\n", what,
			of(func(o overload) float64 { return o.Offered }), of(func(o overload) float64 { return o.Saturated }), of(func(o overload) float64 { return o.Goodput }),
			of(func(o overload) float64 { return o.Accepted.P50 }), of(func(o overload) float64 { return o.Accepted.P99 }), of(func(o overload) float64 { return o.TwoClients }),
			of(func(o overload) float64 { return o.Refused.P50 }), of(func(o overload) float64 { return o.Refused.P99 }), of(func(o overload) float64 { return o.Health.P99 }))
		for _, o := range r.Overload[what] {
			if o.LastWrong != "" {
				fmt.Fprintf(w, "  wrong: %s\n", o.LastWrong)
				break
			}
		}
	}
	if m := r.Memory; m != nil {
		fmt.Fprintf(w, "memory, idle: PSS %s MB and page tables %s MB; PSS by role:", figure(m.Idle), figure(m.Tables))
		for _, role := range slices.Sorted(maps.Keys(m.ByRole)) {
			fmt.Fprintf(w, " %s %s", role, figure(m.ByRole[role]))
		}
		fmt.Fprint(w, "; private, slot and child:")
		for _, kind := range slices.Sorted(maps.Keys(m.OwnReady)) {
			fmt.Fprintf(w, " %s %s", kind, figure(m.OwnReady[kind]))
		}
		fmt.Fprintln(w)
	}
	for _, s := range r.Flat {
		fmt.Fprintf(w, "after %d runs: PSS %s MB (server %s), %d processes, %d descriptors, %d cgroups, %d mounts\n", s.Runs, figure(s.PSS), figure(s.Server), s.Processes, s.Files, s.Groups, s.Mounts)
	}
	fmt.Fprintln(w)
	t = tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "target of issue 4\tmeasured\ttarget\t")
	for _, c := range r.Checks {
		sign, verdict := "≥", "pass"
		if c.AtMost {
			sign = "≤"
		}
		if !c.Pass {
			verdict = "MISS"
		}
		fmt.Fprintf(t, "%s\t%s %s\t%s %s\t%s\n", c.What, figure(c.Got), c.Unit, sign, figure(c.Limit), verdict)
	}
	_ = t.Flush()
	fmt.Fprintf(w, "\n%.0f s\n", r.Seconds)
}

func (r *report) rounds() int {
	n := 0
	for _, x := range r.Rows {
		n = max(n, len(x.Rounds))
	}
	return n
}

// times is a row's ratio to the baseline for the same workload.
func (r *report) times(x *row) float64 {
	what, _, _ := strings.Cut(x.What, " c=")
	what, _, _ = strings.Cut(what, ",")
	switch x.Part {
	case "latency":
		return 1 / x.against(r.find("latency", baseline, what), p50, p50)
	case "rate":
		return x.against(r.best(baseline, what), perSecond, perSecond)
	}
	return math.NaN()
}

// known is figure where 0 means that it was not measured.
func known(v float64) string {
	if v == 0 {
		return "-"
	}
	return figure(v)
}

// figure writes three digits.
func figure(v float64) string {
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return "-"
	case v == 0:
		return "0"
	case math.Abs(v) >= 100:
		return fmt.Sprintf("%.0f", v)
	case math.Abs(v) >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2g", v)
}
