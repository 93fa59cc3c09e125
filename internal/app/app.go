// Package app is the server: the only package that knows all others. It builds
// them, starts them in order and stops them in order.
package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"

	pyexec "github.com/python-code-executor/pyexec"
	"github.com/python-code-executor/pyexec/internal/admission"
	"github.com/python-code-executor/pyexec/internal/audit"
	"github.com/python-code-executor/pyexec/internal/auth"
	"github.com/python-code-executor/pyexec/internal/config"
	"github.com/python-code-executor/pyexec/internal/egress"
	"github.com/python-code-executor/pyexec/internal/httpapi"
	"github.com/python-code-executor/pyexec/internal/jail"
	"github.com/python-code-executor/pyexec/internal/metrics"
	"github.com/python-code-executor/pyexec/internal/playground"
	"github.com/python-code-executor/pyexec/internal/pool"
	"github.com/python-code-executor/pyexec/internal/tracing"
)

// App is one server, from Start to Run's return.
type App struct {
	config      config.Config
	limits      pyexec.Limits // of requests
	log         *slog.Logger
	auth        *auth.Auth
	certificate *certificate // nil without TLS
	jail        *jail.Jail
	pool        *pool.Pool
	admission   *admission.Admission
	executor    pyexec.Executor // admission and what counts it
	audit       *audit.Log      // nil writes none
	tracing     *tracing.Tracing
	metrics     *metricsServer
	egress      *egress.Proxy // nil without --egress
	budget      pyexec.Bytes  // memory for all runs together
	health      *health
	server      *http.Server
	listener    net.Listener
	runs        context.Context // every run's; ended with a cause at the end of the grace period
	endRuns     context.CancelCauseFunc
}

// How long a step of the sandbox's start may take before it counts as failed.
const (
	spawnTimeout  = 10 * time.Second
	importTimeout = 2 * time.Minute
)

// New chooses the isolation and starts the zygotes; it returns when scripts
// without heavy imports could run.
func New(ctx context.Context, c config.Config, version string, log *slog.Logger) (*App, error) {
	return NewOn(ctx, nil, c, version, log)
}

// NewOn is New for connections of this process, which come from listener; it
// closes that. nil is one at the configured address. No network is between: a
// body may have what files may, in base64, and as much again.
func NewOn(ctx context.Context, listener net.Listener, c config.Config, version string, log *slog.Logger) (*App, error) {
	a := &App{config: c, limits: c.Limits(), log: log, listener: listener, budget: memoryBudget(c)}
	if listener != nil {
		a.limits.Body = 2 * a.limits.Disk
	}
	a.runs, a.endRuns = context.WithCancelCause(context.WithoutCancel(ctx))
	if err := a.build(ctx, version); err != nil {
		a.Close() //nolint:contextcheck // closing outlives whoever asks for it
		return nil, err
	}
	return a, nil
}

func (a *App) build(ctx context.Context, version string) error {
	c, log := a.config, a.log
	want, unsafe, err := a.prepare(ctx, version)
	if err != nil {
		return err
	}
	a.jail, err = jail.Start(ctx, jail.Options{
		Python: c.Python, NSJail: c.Nsjail, UID: c.SandboxUID,
		Policy: c.Policy, Preload: c.Preload, Limits: c.Limits(), Running: c.Concurrency, Require: want, Unsafe: unsafe, Egress: wayOut(a.egress),
		SpawnTimeout: spawnTimeout, ImportTimeout: importTimeout,
		MaxRuns: int64(c.ZygoteMaxRuns), MaxAge: c.ZygoteMaxAge, Log: log,
	})
	if err != nil {
		return err
	}
	a.pool = pool.New(pool.Options{
		Open: a.open, Kind: kindOf(c), Ready: ready(c), Running: c.Concurrency, Log: log,
	})
	a.admission = admission.New(admission.Options{
		Concurrency: c.Concurrency, Memory: a.budget, Queue: c.Queue, MaxWait: c.MaxWait,
	}, a.pool)
	a.health = newHealth(a)
	counts := metrics.New(version, a.state)
	a.executor = counts.Count(a.audit.Record(a.admission))
	api := httpapi.New(httpapi.Options{
		Executor: a, Limits: a.limits, Allow: c.Egress, Callers: a.auth, Quota: newQuota(c),
		Browsers: a.browsers(a.listener),
		Health:   a.health.check, Ready: a.health.ready,
		Observe: func(answer httpapi.Answer) { counts.Answered(answer.Route, answer.Status, answer.Code) },
		Trace:   a.trace(), //nolint:contextcheck // a span's parent is in the request's header
		Pages:   a.pages(),
		Logger:  log, Version: version,
	})
	a.server = httpapi.NewServer(a.serveMetrics(counts.Handler(), api), log)
	if a.certificate != nil {
		httpapi.UseTLS(a.server, a.certificate.get)
	}
	return nil
}

// ready bounds how many children wait for each zygote: never more than may run
// at once, since a burst beyond them waits for a fork.
func ready(c config.Config) map[string]pool.Size {
	sizes := readyEach(c)
	if len(c.Egress) == 0 {
		return sizes
	}
	// Runs have egress unless they ask for none: children without are made on demand.
	for kind, size := range maps.Clone(sizes) {
		sizes[kind+withEgress] = size
		sizes[kind] = pool.Size{Ceiling: size.Ceiling}
	}
	return sizes
}

func readyEach(c config.Config) map[string]pool.Size {
	if n := c.Ready; n > 0 {
		fixed := pool.Size{Floor: n, Start: n, Ceiling: n}
		sizes := map[string]pool.Size{}
		for _, kind := range jail.Kinds[1:] {
			sizes[string(kind)] = fixed
		}
		if !jail.HasPlots(c.Python) {
			sizes[string(jail.Plots)] = pool.Size{Ceiling: n}
		}
		return sizes
	}
	n, plots := c.Concurrency, 0
	if jail.HasPlots(c.Python) {
		plots = 1
	}
	return map[string]pool.Size{
		string(jail.Base):   {Floor: 2, Start: n, Ceiling: 2 * n},
		string(jail.Net):    {Floor: 0, Start: 0, Ceiling: n}, // kept only while they are asked for
		string(jail.NumPy):  {Floor: 1, Start: 1, Ceiling: n},
		string(jail.Pandas): {Floor: 1, Start: (n + 1) / 2, Ceiling: n},
		string(jail.Plots):  {Floor: plots, Start: plots, Ceiling: n},
	}
}

// memoryBudget is what all runs together may need: the rest is for the server,
// the zygotes and the machine.
func memoryBudget(c config.Config) pyexec.Bytes {
	if c.MemoryBudget > 0 {
		return c.MemoryBudget
	}
	total, err := memlimit.ApplyFallback(memlimit.FromCgroup, memlimit.FromSystem)()
	if err != nil {
		return 0
	}
	return pyexec.Bytes(total / 5 * 4) //nolint:gosec // bounded far below
}

func (a *App) open(ctx context.Context, kind string) (pool.Slot, error) {
	if kind, egress := strings.CutSuffix(kind, withEgress); egress {
		return a.jail.EgressSlot(ctx, jail.Kind(kind))
	}
	return a.jail.Slot(ctx, jail.Kind(kind))
}

// Execute is the head of the executor chain: it ends a run with the client or
// with the grace period, whichever comes first.
func (a *App) Execute(ctx context.Context, req pyexec.Request) (pyexec.Result, error) {
	if err := a.isolated(req); err != nil {
		return pyexec.Result{}, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := context.AfterFunc(a.runs, func() { cancel(context.Cause(a.runs)) }) //nolint:contextcheck // ends with its owner, not with a caller
	defer stop()
	return a.executor.Execute(ctx, req)
}

// pages are the documents beside the API.
func (a *App) pages() map[string]playground.Page {
	if !a.config.Playground {
		return nil
	}
	return playground.Pages(a.auth.Required())
}

// Addr is where the server listens.
func (a *App) Addr() string { return a.listener.Addr().String() }

// errGrace is what runs end with that are still running when the time for
// them is over.
var errGrace = &pyexec.Error{
	Code: pyexec.CodeUnavailable, Started: true,
	Message: "the server shut down before the script ended",
}

// Run serves until ctx is done and then stops in order: readiness fails, new
// and queued runs are refused, running ones end within the grace period, and
// nothing is left of them.
func (a *App) Run(ctx context.Context) error {
	a.warnOpen()
	a.warnSites()
	a.pool.Fill()
	a.metrics.start()
	tested := make(chan struct{}) // meanwhile runs are served, and /readyz is 503
	go func() {                   //nolint:contextcheck // the probe ends with the server's runs
		defer close(tested)
		a.health.start()
	}()
	serving := make(chan error, 1)
	go func() { serving <- a.serve() }()
	var err error
	select {
	case err = <-serving:
	case <-ctx.Done():
	}
	a.log.Info("draining", "running", a.admission.Stats().Running, "grace_ms", a.config.Grace.Milliseconds())
	a.health.drain()
	a.admission.Drain()
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.config.Grace)
	defer cancel()
	if a.admission.Wait(grace) != nil {
		a.endRuns(errGrace)
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		_ = a.admission.Wait(end)
	}
	// Answers that are being written get a moment; idle connections are closed.
	answers, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if a.server.Shutdown(answers) != nil {
		_ = a.server.Close()
	}
	a.Close() //nolint:contextcheck // closing outlives whoever asks for it
	if errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	return err
}

// Close ends what New started, or a part of it.
func (a *App) Close() {
	a.endRuns(errGrace)
	if a.listener != nil {
		a.listener.Close()
	}
	a.metrics.close()
	if a.jail != nil { // the last that can fail: health and pool have followed it
		a.health.close()
		a.pool.Close()
		a.jail.Close()
	}
	a.audit.Close()
	a.tracing.Close()
}

// Isolation is what is in force, and why not more.
func (a *App) Isolation() (pyexec.Isolation, []jail.Reason) {
	return a.jail.Isolation(), a.jail.Tried()
}

// Welcome writes what a person at a terminal wants to know first.
func (a *App) Welcome(w io.Writer) {
	host, port, _ := net.SplitHostPort(a.Addr())
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	iso := a.jail.Isolation()
	fmt.Fprintf(w, "isolation: %s\n", iso.Level)
	var reasons []string // in the order of the layers, each with all that it costs
	missing := map[string][]string{}
	for _, l := range iso.Layers {
		if l.Active || l.Name == "memory_watcher" {
			continue
		}
		if missing[l.Detail] == nil {
			reasons = append(reasons, l.Detail)
		}
		missing[l.Detail] = append(missing[l.Detail], l.Name)
	}
	for _, reason := range reasons {
		fmt.Fprintf(w, "  without %s: %s\n", strings.Join(missing[reason], ", "), reason)
	}
	scheme, key := "http", ""
	if a.certificate != nil {
		scheme = "https"
	}
	if a.auth.Required() {
		key = ` -H "Authorization: Bearer $KEY"`
	}
	if a.config.Playground {
		fmt.Fprintf(w, "playground: %s://%s/\n", scheme, net.JoinHostPort(host, port))
	}
	fmt.Fprintf(w, `Try:
  curl %s://%s/execute%s -H 'Content-Type: application/json' \
    -d '{"script": "def main():\n    return {\"message\": \"Hello World\"}"}'
`, scheme, net.JoinHostPort(host, port), key)
}
