package main

import (
	"math"
	"slices"

	"github.com/python-code-executor/pyexec/internal/load"
)

// What measurements are summed up in.
type (
	spread  = load.Spread
	samples = load.Samples
)

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
