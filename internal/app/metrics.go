package app

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/python-code-executor/pyexec/internal/config"
	"github.com/python-code-executor/pyexec/internal/httpapi"
	"github.com/python-code-executor/pyexec/internal/metrics"
)

// autoMetrics is where --metrics-addr=auto listens, if it can.
const autoMetrics = "127.0.0.1:9090"

// metricsServer serves /metrics on a listener of its own; nil does not.
type metricsServer struct {
	server   *http.Server
	listener net.Listener
	serving  sync.WaitGroup
}

// listenMetrics listens where --metrics-addr says; nil is nowhere. With auto, a
// port that is taken costs the metrics and not the start: a second server
// beside the first, or a Prometheus on this machine, is no mistake.
func listenMetrics(ctx context.Context, c config.Config, log *slog.Logger) (*metricsServer, error) {
	addr, auto := c.MetricsAddr, c.MetricsAddr == "auto"
	switch addr {
	case "off", "main":
		return nil, nil //nolint:nilnil // no listener of its own is no error
	case "auto":
		addr = autoMetrics
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	switch {
	case auto && err != nil:
		log.Warn("no metrics: their usual address cannot be had; --metrics-addr names another, or off", "addr", addr, "error", err)
		return nil, nil //nolint:nilnil // as the comment above says
	case err != nil:
		return nil, err
	}
	server := &http.Server{
		ReadTimeout: 5 * time.Second, WriteTimeout: 20 * time.Second, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	httpapi.BoundConnections(server, 1./16)
	return &metricsServer{server: server, listener: listener}, nil
}

// serveMetrics gives the metrics' listener its handler, and returns that of
// the main one, which is api unless it has the metrics as well.
func (a *App) serveMetrics(scrape, api http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", scrape)
	if a.metrics != nil {
		a.metrics.server.Handler = a.browsers(a.metrics.listener).Guard(mux)
	}
	if a.config.MetricsAddr != "main" {
		return api
	}
	guarded := a.browsers(a.listener).Guard(mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.EscapedPath() == "/metrics" {
			guarded.ServeHTTP(w, r)
			return
		}
		api.ServeHTTP(w, r)
	})
}

// start begins to serve.
func (m *metricsServer) start() {
	if m != nil {
		m.serving.Go(func() { _ = m.server.Serve(m.listener) }) // until close
	}
}

// close ends the server, so that the last scrape is one of a server that
// drains.
func (m *metricsServer) close() {
	if m != nil {
		_ = m.server.Close()
		m.listener.Close()
		m.serving.Wait()
	}
}

// MetricsAddr is where /metrics is served, unless it is not or by the main
// listener.
func (a *App) MetricsAddr() string {
	if a.metrics == nil {
		return ""
	}
	return a.metrics.listener.Addr().String()
}

// state is what a scrape asks for.
func (a *App) state() metrics.State {
	s := metrics.State{
		Concurrency: a.config.Concurrency, Queue: a.config.Queue, Budget: a.budget,
		Ready: map[string]int{}, Target: map[string]int{}, Slots: map[string]int{},
		Isolation: a.jail.Isolation(),
	}
	runs := a.admission.Stats()
	s.Running, s.Queued, s.Reserved = runs.Running, runs.Queued, runs.Memory
	for kind, of := range a.pool.Stats() {
		s.Ready[kind], s.Target[kind], s.Slots[kind] = of.Ready, of.Target, of.Slots
	}
	of := a.jail.Stats()
	s.ZygotesLost, s.ZygotesRenewed, s.ZygotesFailed = of.Lost, of.Renewed, of.Failed
	s.SandboxMemory, s.SandboxKnown = of.Memory, of.HasMemory
	s.Egress = a.egressState()
	s.AuditFailed = a.audit.Failed()
	s.Healthy = a.health.check(a.runs).Reason == "" // a run at most every few seconds, bounded below one
	s.Accepting = a.health.ready() == nil
	return s
}
