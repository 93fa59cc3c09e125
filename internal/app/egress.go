package app

import (
	"log/slog"
	"slices"

	pyexec "github.com/python-code-executor/pyexec"
	"github.com/python-code-executor/pyexec/internal/config"
	"github.com/python-code-executor/pyexec/internal/egress"
	"github.com/python-code-executor/pyexec/internal/jail"
	"github.com/python-code-executor/pyexec/internal/metrics"
	"github.com/python-code-executor/pyexec/internal/pool"
)

// withEgress marks the kinds of children that reach the proxy.
const withEgress = "+egress"

// newEgress is the proxy of the runs that may have one; nil without rules.
func newEgress(c config.Config, log *slog.Logger) (*egress.Proxy, error) {
	if len(c.Egress) == 0 {
		return nil, nil //nolint:nilnil // no egress is no error
	}
	if err := egress.CheckRules(c.Egress); err != nil {
		return nil, err
	}
	unchecked := slices.Contains(c.UnsafeDisableLayers, jail.EgressAddresses)
	if unchecked {
		log.Warn("runs reach every address, the machine's and a cloud's metadata included: this server is for tests only")
	}
	return egress.New(egress.Options{
		Limits: egress.Limits{
			AtOnce: c.EgressConnections, Requests: c.EgressRequests, Bytes: c.EgressBytes, Time: c.EgressTime,
		},
		Log: log, Unchecked: unchecked,
	}), nil
}

// wayOut is p as the jail wants it: no interface around a nil.
func wayOut(p *egress.Proxy) jail.Egress {
	if p == nil {
		return nil
	}
	return p
}

// egressState is what a scrape tells of the proxy.
func (a *App) egressState() *metrics.Egress {
	if a.egress == nil {
		return nil
	}
	s := a.egress.Stats()
	ended := map[string]int64{}
	for outcome, n := range s.Connections {
		ended[string(outcome)] = n
	}
	return &metrics.Egress{Open: s.Open, Ended: ended, Up: s.BytesUp, Down: s.BytesDown}
}

// kindOf is the choice of a child for a run.
func kindOf(c config.Config) func(pyexec.Request) string {
	imports := pool.KindOf(c.Preload)
	return func(req pyexec.Request) string {
		kind := imports(req.Script)
		if len(req.Allow) > 0 {
			kind += withEgress
		}
		return kind
	}
}
