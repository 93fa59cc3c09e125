// Package metrics counts what the server does, for Prometheus: a stage of the
// executor chain that counts runs, and a registry of its own that asks for the
// rest when it is scraped. Every label is from a closed set; nothing that a
// script or a client writes becomes one.
//
// It knows the vocabulary of the root package alone.
package metrics

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/python-code-executor/pyexec"
)

// buckets reach from what a warm answer takes to the default time limit.
var buckets = []float64{
	0.0001, 0.00025, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
}

// Metrics is the registry of one server.
type Metrics struct {
	registry *prometheus.Registry
	runs     *prometheus.CounterVec
	refusals *prometheus.CounterVec
	requests *prometheus.CounterVec
	queue    prometheus.Histogram
	spawn    prometheus.Histogram
	run      prometheus.Histogram
}

// New makes a registry. state is asked at each scrape, and
// delays it as long as it takes.
func New(version string, state func() State) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		runs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pyexec_runs_total",
			Help: "Runs that were begun, by how they ended: ok, a type of the errors with status 400, or unavailable, canceled and internal.",
		}, []string{"outcome"}),
		refusals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pyexec_refusals_total",
			Help: "Runs that were asked for and not begun, by the error's type.",
		}, []string{"reason"}),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pyexec_http_requests_total",
			Help: "Answers, by route (other: none of them) and status; 499 is a client that left.",
		}, []string{"route", "status"}),
		queue: histogram("pyexec_queue_wait_seconds", "Time that runs waited for a place."),
		spawn: histogram("pyexec_spawn_seconds", "Time that runs waited for a ready child."),
		run:   histogram("pyexec_run_seconds", "Time from handing the script over to its end."),
	}
	m.registry.MustRegister(
		m.runs, m.refusals, m.requests, m.queue, m.spawn, m.run, newStates(version, state),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	for _, outcome := range outcomes { // a rate needs the zero before the first event
		m.runs.WithLabelValues(outcome)
	}
	for _, code := range refusals {
		m.refusals.WithLabelValues(string(code))
	}
	return m
}

func histogram(name, help string) prometheus.Histogram {
	return prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets})
}

// Handler answers scrapes. Two at once are enough; more get 503.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		Registry: m.registry, MaxRequestsInFlight: 2, Timeout: 10 * time.Second,
	})
}

// Count is the stage that counts the runs of next.
func (m *Metrics) Count(next pyexec.Executor) pyexec.Executor { return stage{m, next} }

type stage struct {
	metrics *Metrics
	next    pyexec.Executor
}

// Execute implements pyexec.Executor.
func (s stage) Execute(ctx context.Context, req pyexec.Request) (pyexec.Result, error) {
	res, err := s.next.Execute(ctx, req)
	outcome, begun := outcomeOf(res, err)
	if !begun {
		s.metrics.refusals.WithLabelValues(outcome).Inc()
		return res, err
	}
	s.metrics.runs.WithLabelValues(outcome).Inc()
	s.metrics.queue.Observe(res.Timing.Queue.Seconds())
	s.metrics.spawn.Observe(res.Timing.Spawn.Seconds())
	s.metrics.run.Observe(res.Timing.Run.Seconds())
	return res, err
}

// Answered counts an answer of the HTTP door. code is empty where a run was
// asked for and came to something.
func (m *Metrics) Answered(route string, status int, code pyexec.Code) {
	m.requests.WithLabelValues(route, strconv.Itoa(status)).Inc()
	if route == "execute" && doorRefuses[code] {
		m.refusals.WithLabelValues(string(code)).Inc()
	}
}
