package metrics_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/python-code-executor/pyexec"
	"github.com/python-code-executor/pyexec/internal/metrics"
)

type executor func(context.Context, pyexec.Request) (pyexec.Result, error)

func (e executor) Execute(ctx context.Context, req pyexec.Request) (pyexec.Result, error) {
	return e(ctx, req)
}

func scrape(t *testing.T, m *metrics.Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 200 {
		t.Fatalf("the scrape answers %d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}

func TestEachEndIsCountedOnce(t *testing.T) {
	began := pyexec.Timing{Queue: time.Millisecond, Spawn: time.Microsecond, Run: time.Second}
	for _, tt := range []struct {
		name string
		res  pyexec.Result
		err  error
		want string
		runs string // how many were begun
	}{
		{"ok", pyexec.Result{Timing: began}, nil, `pyexec_runs_total{outcome="ok"} 1`, "1"},
		{"failure", pyexec.Result{Timing: began, Failure: &pyexec.Failure{Type: pyexec.Timeout}}, nil, `pyexec_runs_total{outcome="timeout"} 1`, "1"},
		{"not a failure there is", pyexec.Result{Timing: began, Failure: &pyexec.Failure{Type: "evil\n1"}}, nil, `pyexec_runs_total{outcome="internal"} 1`, "1"},
		{"refused", pyexec.Result{}, &pyexec.Error{Code: pyexec.CodeOverloaded}, `pyexec_refusals_total{reason="overloaded"} 1`, "0"},
		{"not begun", pyexec.Result{}, &pyexec.Error{Code: pyexec.CodeUnavailable}, `pyexec_refusals_total{reason="unavailable"} 1`, "0"},
		{"lost", pyexec.Result{Timing: began}, &pyexec.Error{Code: pyexec.CodeUnavailable, Started: true}, `pyexec_runs_total{outcome="unavailable"} 1`, "1"},
		{"left in line", pyexec.Result{}, &pyexec.Error{Code: pyexec.CodeCanceled}, `pyexec_refusals_total{reason="canceled"} 1`, "0"},
		{"bug", pyexec.Result{}, errors.New("bug"), `pyexec_runs_total{outcome="internal"} 1`, "1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := metrics.New("v", func() metrics.State { return metrics.State{} })
			res, err := m.Count(executor(func(context.Context, pyexec.Request) (pyexec.Result, error) { return tt.res, tt.err })).
				Execute(t.Context(), pyexec.Request{})
			if !errors.Is(err, tt.err) || res.Timing != tt.res.Timing {
				t.Errorf("the stage changed what passes: %v, %v", res, err)
			}
			text := scrape(t, m)
			var counted []string
			for line := range strings.Lines(text) {
				if line = strings.TrimSpace(line); strings.HasPrefix(line, "pyexec_ru") || strings.HasPrefix(line, "pyexec_refusals") {
					if name, value, _ := strings.Cut(line, "} "); strings.Contains(name, "_total{") && value != "0" {
						counted = append(counted, line)
					}
				}
			}
			if len(counted) != 1 || counted[0] != tt.want {
				t.Errorf("counted %q, want %q", counted, tt.want)
			}
			if want := "pyexec_run_seconds_count " + tt.runs + "\n"; !strings.Contains(text, want) {
				t.Errorf("no %q", want)
			}
		})
	}
}

// TestTheDoorCountsWhatNoStageSees: or one refusal would be two.
func TestTheDoorCountsWhatNoStageSees(t *testing.T) {
	m := metrics.New("v", func() metrics.State { return metrics.State{} })
	for _, a := range []struct {
		route  string
		status int
		code   pyexec.Code
	}{
		{"execute", 200, ""},
		{"execute", 429, pyexec.CodeRateLimited},
		{"execute", 503, pyexec.CodeOverloaded},
		{"other", 404, pyexec.CodeNotFound},
		{"health", 405, pyexec.CodeMethodNotAllowed},
		{"execute", 401, pyexec.CodeUnauthenticated},
	} {
		m.Answered(a.route, a.status, a.code)
	}
	text := scrape(t, m)
	for _, want := range []string{
		`pyexec_refusals_total{reason="rate_limited"} 1`, `pyexec_refusals_total{reason="unauthenticated"} 1`,
		`pyexec_refusals_total{reason="overloaded"} 0`, `pyexec_refusals_total{reason="method_not_allowed"} 0`,
		`pyexec_http_requests_total{route="execute",status="503"} 1`, `pyexec_http_requests_total{route="other",status="404"} 1`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
}

// BenchmarkCount is what a run pays for being counted.
func BenchmarkCount(b *testing.B) {
	m := metrics.New("v", func() metrics.State { return metrics.State{} })
	res := pyexec.Result{Timing: pyexec.Timing{Queue: time.Microsecond, Spawn: time.Millisecond, Run: 2 * time.Millisecond}}
	next := m.Count(executor(func(context.Context, pyexec.Request) (pyexec.Result, error) { return res, nil }))
	for b.Loop() {
		_, _ = next.Execute(b.Context(), pyexec.Request{})
		m.Answered("execute", 200, "")
	}
}
