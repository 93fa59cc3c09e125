package main

import (
	"encoding/json"
	"math"
	"os"
	"slices"
	"time"
)

// measured is one line of one round.
type measured struct {
	Spread    spread  `json:"latency"`
	PerSecond float64 `json:"runs_per_second,omitempty"`
	CPU       float64 `json:"cpu_ms_per_run,omitempty"`
}

// row is a line of the table with all its rounds.
type row struct {
	Part   string     `json:"part"`
	Who    string     `json:"who"`
	What   string     `json:"what"`
	Rounds []measured `json:"rounds"`
}

// overload is one round of the open loop; latencies in ms.
type overload struct {
	Offered      float64 `json:"offered_per_second"`
	Saturated    float64 `json:"saturated_per_second"`
	Goodput      float64 `json:"goodput_per_second"`
	TwoClients   float64 `json:"two_clients_p99_ms"`
	Accepted     spread  `json:"accepted"`
	First        spread  `json:"accepted_first_half"`
	Second       spread  `json:"accepted_second_half"`
	Refused      spread  `json:"refused"`
	NoRetryAfter int     `json:"refused_without_retry_after"`
	Wrong        int     `json:"wrong"`
	LastWrong    string  `json:"last_wrong,omitempty"`
	NotSent      int     `json:"not_sent"`
	Health       spread  `json:"health"`
	HealthFailed int     `json:"health_failed"`
}

// check is one target of the issue.
type check struct {
	What   string  `json:"what"`
	Got    float64 `json:"got"`
	Limit  float64 `json:"target"`
	AtMost bool    `json:"at_most"`
	Unit   string  `json:"unit"`
	Pass   bool    `json:"pass"`
}

// report is what the JSON file holds.
type report struct {
	Time     string                `json:"time"`
	Machine  map[string]string     `json:"machine"`
	Quick    bool                  `json:"quick"`
	Seconds  float64               `json:"seconds"`
	Rows     []*row                `json:"rows"`
	Overload map[string][]overload `json:"overload,omitempty"`
	Memory   *memoryFigures        `json:"memory,omitempty"`
	Flat     []state               `json:"flat,omitempty"`
	Checks   []check               `json:"checks"`
}

func newReport(o options) *report {
	return &report{Time: time.Now().UTC().Format(time.RFC3339), Quick: o.quick, Overload: map[string][]overload{}}
}

func (r *report) find(part, who, what string) *row {
	i := slices.IndexFunc(r.Rows, func(x *row) bool { return x.Part == part && x.Who == who && x.What == what })
	if i < 0 {
		return nil
	}
	return r.Rows[i]
}

func (r *report) add(part, who, what string, m measured) {
	x := r.find(part, who, what)
	if x == nil {
		x = &row{Part: part, Who: who, What: what}
		r.Rows = append(r.Rows, x)
	}
	x.Rounds = append(x.Rounds, m)
}

func (r *report) overload(what string, o overload) {
	r.Overload[what] = append(r.Overload[what], o)
}

// mid is the median over the rounds.
func (x *row) mid(of func(measured) float64) float64 {
	if x == nil {
		return math.NaN()
	}
	var values []float64
	for _, m := range x.Rounds {
		values = append(values, of(m))
	}
	return median(values)
}

// against is the median of the rounds' own ratios; rounds are aligned.
func (x *row) against(y *row, of, to func(measured) float64) float64 {
	if x == nil || y == nil {
		return math.NaN()
	}
	var values []float64
	for i := range min(len(x.Rounds), len(y.Rounds)) {
		values = append(values, of(x.Rounds[i])/to(y.Rounds[i]))
	}
	return median(values)
}

func p50(m measured) float64       { return m.Spread.P50 }
func p90(m measured) float64       { return m.Spread.P90 }
func p99(m measured) float64       { return m.Spread.P99 }
func perSecond(m measured) float64 { return m.PerSecond }
func cpuEach(m measured) float64   { return m.CPU }

// over is the median of f over the rounds of an overload.
func (r *report) over(what string, f func(overload) float64) float64 {
	var values []float64
	for _, o := range r.Overload[what] {
		values = append(values, f(o))
	}
	return median(values)
}

// best is a row as it would be with the best number of clients in each round.
func (r *report) best(who, what string) *row {
	best := &row{}
	for _, x := range r.Rows {
		if x.Part != "rate" || x.Who != who || !isLoadOf(x.What, what) {
			continue
		}
		for i, m := range x.Rounds {
			switch {
			case i == len(best.Rounds):
				best.Rounds = append(best.Rounds, m)
			case m.PerSecond > best.Rounds[i].PerSecond:
				best.Rounds[i] = m
			}
		}
	}
	if len(best.Rounds) == 0 {
		return nil
	}
	return best
}

// save writes JSON and plot.
func (r *report) save(o options) error {
	if o.json != "" {
		text, err := json.MarshalIndent(r, "", "  ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(o.json, append(text, '\n'), 0o644); err != nil {
			return err
		}
	}
	if o.plot != "" {
		return os.WriteFile(o.plot, []byte(r.svg()), 0o644)
	}
	return nil
}
