package httpapi

import (
	"bytes"
	"errors"
	"net/http"

	"github.com/python-code-executor/pyexec"
)

// Health is the state that GET /health shows. The service is healthy when
// Reason is empty.
type Health struct {
	Reason    string            // why it is not; safe to show
	Python    string            // version of the sandbox's interpreter
	Packages  map[string]string // name to version
	Isolation pyexec.Isolation
}

type healthBody struct {
	Status    string            `json:"status"`
	Reason    string            `json:"reason,omitempty"`
	Version   string            `json:"version,omitempty"`
	Python    string            `json:"python,omitempty"`
	Packages  map[string]string `json:"packages,omitempty"`
	Isolation *isolation        `json:"isolation,omitempty"`
}

// isolation is the JSON form of pyexec.Isolation, in /health and in details.
type isolation struct {
	Level  string           `json:"level"`
	Layers map[string]layer `json:"layers"`
}

type layer struct {
	Active bool   `json:"active"`
	Detail string `json:"detail,omitempty"`
}

func newIsolation(from pyexec.Isolation) *isolation {
	iso := &isolation{Level: from.Level, Layers: make(map[string]layer, len(from.Layers))}
	for _, l := range from.Layers {
		iso.Layers[l.Name] = layer{l.Active, l.Detail}
	}
	return iso
}

func (a *API) health(x *exchange) reply {
	h := a.opts.Health(x.r.Context())
	body := healthBody{
		Status: "ok", Reason: h.Reason, Version: a.opts.Version,
		Python: h.Python, Packages: h.Packages,
	}
	if h.Isolation.Level != "" || len(h.Isolation.Layers) > 0 {
		body.Isolation = newIsolation(h.Isolation)
	}
	if h.Reason != "" {
		body.Status = "unavailable"
		return stateReply(http.StatusServiceUnavailable, body)
	}
	return stateReply(http.StatusOK, body)
}

// livez says only that the process serves.
func (a *API) livez(*exchange) reply {
	return stateReply(http.StatusOK, healthBody{Status: "ok"})
}

// readyz says whether a run would be taken now.
func (a *API) readyz(*exchange) reply {
	err := a.opts.Ready()
	if err == nil {
		return stateReply(http.StatusOK, healthBody{Status: "ok"})
	}
	reason := "not ready"
	var e *pyexec.Error // only its message is meant to be shown
	if errors.As(err, &e) {
		reason = e.Message
	}
	rep := stateReply(http.StatusServiceUnavailable, healthBody{Status: "unavailable", Reason: reason})
	rep.cause = err
	return rep
}

func stateReply(status int, body healthBody) reply {
	var b bytes.Buffer
	writeJSON(&b, body)
	return reply{status: status, body: b.Bytes(), outcome: body.Status}
}
