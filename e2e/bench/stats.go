package main

import (
	"encoding/json"
	"math"
	"slices"
	"time"
)

// spread is what one round, or the median of all rounds, found.
type spread struct {
	P50 float64 `json:"p50_ms"`
	P90 float64 `json:"p90_ms"`
	P99 float64 `json:"p99_ms"`
	N   int     `json:"n"`
}

// MarshalJSON writes null where there were none.
func (s spread) MarshalJSON() ([]byte, error) {
	if s.N == 0 {
		return []byte("null"), nil
	}
	type plain spread
	return json.Marshal(plain(s))
}

// samples are durations in milliseconds.
type samples []float64

func (s *samples) add(d time.Duration) { *s = append(*s, float64(d)/1e6) }

// spread uses the nearest rank: the p99 of fewer than 100 samples is the largest.
func (s samples) spread() spread {
	return spread{s.percentile(50), s.percentile(90), s.percentile(99), len(s)}
}

func (s samples) percentile(p float64) float64 {
	if len(s) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(s))
	return sorted[max(0, int(math.Ceil(p/100*float64(len(sorted))))-1)]
}

func median(values []float64) float64 {
	var known []float64
	for _, v := range values {
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			known = append(known, v)
		}
	}
	if len(known) == 0 {
		return math.NaN()
	}
	slices.Sort(known)
	mid := len(known) / 2
	if len(known)%2 == 1 {
		return known[mid]
	}
	return (known[mid-1] + known[mid]) / 2
}
