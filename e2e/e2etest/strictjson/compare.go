package strictjson

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"strings"
)

// Diff says where got differs from want, both as Parse returns them, or ""
// where they are the same. Numbers with a point or exponent may differ by a
// relative tolerance; integers are compared exactly, and are never equal to a
// bool.
func Diff(want, got any, tolerance float64) string { return diff("$", want, got, tolerance) }

func diff(path string, want, got any, tolerance float64) string {
	switch w := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			return mismatch(path, want, got)
		}
		for key := range w {
			if _, ok := g[key]; !ok {
				return fmt.Sprintf("%s: no key %q", path, key)
			}
		}
		for key := range g {
			if _, ok := w[key]; !ok {
				return fmt.Sprintf("%s: unexpected key %q", path, key)
			}
			if d := diff(path+"."+key, w[key], g[key], tolerance); d != "" {
				return d
			}
		}
		return ""
	case []any:
		g, ok := got.([]any)
		if !ok {
			return mismatch(path, want, got)
		}
		if len(w) != len(g) {
			return fmt.Sprintf("%s: %d elements, not %d", path, len(g), len(w))
		}
		for i := range w {
			if d := diff(fmt.Sprintf("%s[%d]", path, i), w[i], g[i], tolerance); d != "" {
				return d
			}
		}
		return ""
	case json.Number:
		if g, ok := got.(json.Number); ok && SameNumber(w, g, tolerance) {
			return ""
		}
		return mismatch(path, want, got)
	}
	if want != got {
		return mismatch(path, want, got)
	}
	return ""
}

// SameNumber compares two JSON numbers: as integers when both are, else as
// floats within the tolerance.
func SameNumber(a, b json.Number, tolerance float64) bool {
	if !strings.ContainsAny(string(a)+string(b), ".eE") {
		x, okX := new(big.Int).SetString(string(a), 10)
		y, okY := new(big.Int).SetString(string(b), 10)
		return okX && okY && x.Cmp(y) == 0
	}
	x, errX := a.Float64()
	y, errY := b.Float64()
	if errX != nil || errY != nil {
		return a == b
	}
	return x == y || math.Abs(x-y) <= tolerance*math.Max(1, math.Max(math.Abs(x), math.Abs(y)))
}

func mismatch(path string, want, got any) string {
	return fmt.Sprintf("%s: %s, not %s", path, Short(got), Short(want))
}

// Short is v as JSON, cut to a length that a test log can bear.
func Short(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return Cut(string(text), 300)
}

// Cut shortens s to n bytes and says so.
func Cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return fmt.Sprintf("%s… (%d bytes)", strings.ToValidUTF8(s[:n], ""), len(s))
}
