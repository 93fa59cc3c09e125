package corpus

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// Counts are executed, passed, failed and skipped scripts.
func (r *Report) Counts() (executed, passed, failed, skipped int) {
	for _, o := range r.Outcomes {
		switch {
		case o.Skipped != "":
			skipped++
		case o.Failures != nil:
			executed, failed = executed+1, failed+1
		default:
			executed, passed = executed+1, passed+1
		}
	}
	return executed, passed, failed, skipped
}

// Missing is how many scripts of the folder were neither run nor skipped for
// a need that their header names.
func (r *Report) Missing() int {
	if r.filtered {
		return 0
	}
	return r.Total - len(r.Outcomes)
}

// OK says whether everything held.
func (r *Report) OK() bool {
	_, _, failed, _ := r.Counts()
	return failed == 0 && len(r.Problems) == 0 && r.Missing() == 0
}

// Line is the report in one line.
func (r *Report) Line() string {
	executed, passed, failed, skipped := r.Counts()
	line := fmt.Sprintf("executed %d scripts at level %s, policy %s: %d passed, %d failed", executed, r.Level, r.Policy, passed, failed)
	if skipped > 0 {
		line += fmt.Sprintf(", %d skipped", skipped)
	}
	if n := r.Missing(); n > 0 {
		line += fmt.Sprintf(", %d of the folder's %d NOT RUN", n, r.Total)
	}
	if len(r.Problems) > 0 {
		line += fmt.Sprintf(", %d problems of the whole", len(r.Problems))
	}
	return line
}

// String is the report with all its failures.
func (r *Report) String() string {
	var b strings.Builder
	for _, o := range r.Outcomes {
		for _, failure := range o.Failures {
			fmt.Fprintf(&b, "FAIL %s: %s\n", o.Name, failure)
		}
		if o.Failures != nil {
			fmt.Fprintf(&b, "     %s answered: %s\n", o.Name, o.Answer)
		}
		if o.Skipped != "" {
			fmt.Fprintf(&b, "skip %s: %s\n", o.Name, o.Skipped)
		}
	}
	for _, problem := range r.Problems {
		fmt.Fprintf(&b, "PROBLEM %s\n", problem)
	}
	for _, note := range r.Notes {
		fmt.Fprintf(&b, "note: %s\n", note)
	}
	if names := r.Unproven(); len(names) > 0 {
		fmt.Fprintf(&b, "note: %d scripts ended in an error before they could say whether they are contained: %s\n", len(names), strings.Join(names, " "))
	}
	fmt.Fprintf(&b, "took %v; slowest /health %v; the server grew by %d MB at most; slowest: %s\n",
		r.Elapsed.Round(100*time.Millisecond), r.SlowestHealth.Round(time.Millisecond), r.Growth>>20, r.slowest(6))
	b.WriteString(r.Line() + "\n")
	return b.String()
}

// Unproven are the scripts that passed by ending in an error.
func (r *Report) Unproven() []string {
	var names []string
	for _, o := range r.Outcomes {
		if o.Unproven {
			names = append(names, o.Name)
		}
	}
	return names
}

func (r *Report) slowest(n int) string {
	byTime := slices.Clone(r.Outcomes)
	slices.SortFunc(byTime, func(a, b Outcome) int { return int(b.Elapsed - a.Elapsed) })
	var names []string
	for _, o := range byTime[:min(n, len(byTime))] {
		names = append(names, fmt.Sprintf("%s %.1f s", o.Name, o.Elapsed.Seconds()))
	}
	return strings.Join(names, ", ")
}

// Test runs a folder in a Go test, with a subtest for each script.
func Test(t *testing.T, baseURL string, options Options) *Report {
	t.Helper()
	options.Contract = true
	report, err := Run(t.Context(), baseURL, options)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range report.Outcomes {
		t.Run(o.Name, func(t *testing.T) {
			if o.Skipped != "" {
				t.Skip(o.Skipped)
			}
			for _, failure := range o.Failures {
				t.Error(failure)
			}
			if t.Failed() {
				t.Logf("answered after %v: %s", o.Elapsed, o.Answer)
			}
		})
	}
	for _, problem := range report.Problems {
		t.Error(problem)
	}
	if n := report.Missing(); n > 0 {
		t.Errorf("%d of the folder's %d scripts were not run", n, report.Total)
	}
	for _, note := range report.Notes {
		t.Log(note)
	}
	t.Logf("slowest /health %v; the server grew by %d MB at most; took %v; slowest: %s",
		report.SlowestHealth, report.Growth>>20, report.Elapsed, report.slowest(6))
	t.Log(report.Line())
	return report
}
