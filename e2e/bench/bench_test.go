package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/python-code-executor/pyexec/e2e/e2etest"
)

func TestMain(m *testing.M) { e2etest.Main(m) }

// TestBench runs the smallest measurement. It asserts that figures are there,
// not what they are.
func TestBench(t *testing.T) {
	binary, err := e2etest.Binary()
	if err != nil {
		t.Fatal(err)
	}
	if os.Getuid() != 0 {
		t.Skip("NOT TESTED: the full level and its groups need root here")
	}
	dir := t.TempDir()
	o, err := parse([]string{
		"-quick", "-rounds=1", "-only=latency", "-think=1ms", "-binary=" + binary,
		"-json=" + filepath.Join(dir, "bench.json"), "-plot=" + filepath.Join(dir, "bench.svg"),
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(o.python); err != nil {
		t.Skipf("NOT TESTED: %v: make setup", err)
	}
	if err := run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(o.json)
	if err != nil {
		t.Fatal(err)
	}
	var r report
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"hello", "numpy", "pandas", "loop", "pandas, pool drained"} {
		if x := r.find("latency", ours, want); x == nil || !(x.mid(p50) > 0) {
			t.Errorf("no latency of %q", want)
		}
	}
	if len(r.Checks) == 0 {
		t.Error("no targets were judged")
	}
	plot, err := os.ReadFile(o.plot)
	if err != nil || !strings.Contains(string(plot), "</svg>") {
		t.Errorf("no plot: %v", err)
	}
}

func TestStatistics(t *testing.T) {
	s := samples{}
	for i := range 100 {
		s = append(s, float64(100-i))
	}
	if got := s.Spread(); got != (spread{P50: 50, P90: 90, P99: 99, N: 100}) {
		t.Errorf("spread is %v", got)
	}
	if got := median([]float64{3, 1, 2, 4}); got != 2.5 {
		t.Errorf("median is %v", got)
	}
}

// TestAnswers shows that a wrong answer, and one to another request, is seen.
func TestAnswers(t *testing.T) {
	for _, w := range workloads {
		j, other := w.next(), w.next()
		if err := j.check([]byte(j.answer)); err != nil {
			t.Errorf("%s: %v", w.name, err)
		}
		if j.check([]byte(other.answer)) == nil || j.check([]byte("null")) == nil || j.check(nil) == nil {
			t.Errorf("%s: a wrong answer passed", w.name)
		}
	}
}
