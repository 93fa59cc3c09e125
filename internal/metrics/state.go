package metrics

import (
	"runtime"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/python-code-executor/pyexec"
)

// State is what is so at the moment of a scrape.
type State struct {
	Running, Queued    int          // runs that have a place, and that wait for one
	Concurrency, Queue int          // how many of each there may be
	Reserved, Budget   pyexec.Bytes // memory that the runs may need together; Budget 0 means unbounded

	Ready  map[string]int // children that wait for a script, by zygote
	Target map[string]int // how many of them there should be
	Slots  map[string]int // slots, by zygote

	ZygotesLost, ZygotesRenewed, ZygotesFailed int64 // replaced after its death, replaced at its age, not started

	SandboxMemory pyexec.Bytes // of slots and runs
	SandboxKnown  bool         // cgroups tell SandboxMemory

	Egress *Egress // nil without a way out

	Isolation   pyexec.Isolation
	AuditFailed int64 // lines that could not be written
	Healthy     bool  // the last health run succeeded, and every layer is in place
	Accepting   bool  // runs are taken
}

// Egress is what runs did over the network.
type Egress struct {
	Open     int64            // connections at this moment
	Ended    map[string]int64 // connections, by outcome
	Up, Down int64            // bytes from and to runs
}

// states is the collector of State.
type states struct {
	state   func() State
	version string
}

func newStates(version string, state func() State) *states { return &states{state, version} }

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

// The metrics that a scrape asks for.
var (
	running     = desc("pyexec_runs_in_progress", "Runs that have a place.")
	queued      = desc("pyexec_runs_queued", "Runs that wait for a place.")
	concurrency = desc("pyexec_concurrency_limit", "How many runs may have a place.")
	queueLimit  = desc("pyexec_queue_limit", "How many runs may wait for a place.")
	reserved    = desc("pyexec_memory_reserved_bytes", "Memory limits of the runs in progress, added up.")
	budget      = desc("pyexec_memory_budget_bytes", "What they may add up to; 0 means unbounded.")
	ready       = desc("pyexec_ready_children", "Children that wait for a script.", "zygote")
	target      = desc("pyexec_ready_children_target", "How many children should wait for a script.", "zygote")
	slots       = desc("pyexec_slots", "Slots: processes with namespaces of their own that fork one child at a time.", "zygote")
	restarts    = desc("pyexec_zygote_restarts_total", "Generations of zygotes that were replaced: lost (it died) or renewed (it had served its time).", "reason")
	failures    = desc("pyexec_zygote_start_failures_total", "Generations of zygotes that could not be started.")
	sandbox     = desc("pyexec_sandbox_memory_bytes", "Memory of slots and runs, as their cgroups count it; absent without cgroups.")
	level       = desc("pyexec_isolation_info", "1 for the isolation level in force.", "level")
	layer       = desc("pyexec_isolation_layer_active", "1 where the layer is in force, 0 where it is not.", "layer")
	egressOpen  = desc("pyexec_egress_connections_open", "Connections of runs through the egress proxy; absent without --egress.")
	egressEnded = desc("pyexec_egress_connections_total", "Connections of runs through the egress proxy that have ended, by how.", "outcome")
	egressBytes = desc("pyexec_egress_bytes_total", "Bytes through the egress proxy, up (from runs) and down.", "direction")
	audit       = desc("pyexec_audit_failures_total", "Runs whose line in the audit log could not be written.")
	healthy     = desc("pyexec_healthy", "1 when the last run of the health check succeeded and every layer is in place.")
	accepting   = desc("pyexec_ready", "1 when runs are taken, 0 at the start and while draining.")
	build       = desc("pyexec_build_info", "1, with the versions of the server and of Go.", "version", "go_version")
)

// Describe implements prometheus.Collector.
func (s *states) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		running, queued, concurrency, queueLimit, reserved, budget, ready, target, slots, restarts, failures,
		sandbox, level, layer, egressOpen, egressEnded, egressBytes, audit, healthy, accepting, build,
	} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (s *states) Collect(to chan<- prometheus.Metric) {
	now := s.state()
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	counter := func(d *prometheus.Desc, value int64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(value), labels...)
	}
	gauge(running, float64(now.Running))
	gauge(queued, float64(now.Queued))
	gauge(concurrency, float64(now.Concurrency))
	gauge(queueLimit, float64(now.Queue))
	gauge(reserved, float64(now.Reserved))
	gauge(budget, float64(now.Budget))
	for d, counts := range map[*prometheus.Desc]map[string]int{ready: now.Ready, target: now.Target, slots: now.Slots} {
		for zygote, n := range counts {
			gauge(d, float64(n), zygote)
		}
	}
	counter(restarts, now.ZygotesLost, "lost")
	counter(restarts, now.ZygotesRenewed, "renewed")
	counter(failures, now.ZygotesFailed)
	if now.SandboxKnown {
		gauge(sandbox, float64(now.SandboxMemory))
	}
	gauge(level, 1, now.Isolation.Level)
	for _, l := range now.Isolation.Layers {
		gauge(layer, truth(l.Active), l.Name)
	}
	if e := now.Egress; e != nil {
		gauge(egressOpen, float64(e.Open))
		for outcome, n := range e.Ended {
			counter(egressEnded, n, outcome)
		}
		counter(egressBytes, e.Up, "up")
		counter(egressBytes, e.Down, "down")
	}
	counter(audit, now.AuditFailed)
	gauge(healthy, truth(now.Healthy))
	gauge(accepting, truth(now.Accepting))
	gauge(build, 1, s.version, runtime.Version())
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
