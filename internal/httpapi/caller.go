package httpapi

import (
	"context"
	"net"
	"net/http"

	"github.com/python-code-executor/pyexec"
)

// Callers finds out who sends a request, by its headers alone. With an error,
// the caller's name is what the log may call him. Fields that belong to the
// answer go into h.
type Callers interface {
	Authenticate(r *http.Request, h http.Header) (pyexec.Caller, error)
}

// Quota decides whether the caller's request is taken now. Without an error,
// leave must be called when the request has been answered. Fields that belong
// to the answer, whatever it is, go into h.
type Quota interface {
	Take(ctx context.Context, c pyexec.Caller, h http.Header) (leave func(), err error)
}

// enter lets a request in that may lead to a run, before a byte of its body
// is read.
func (a *API) enter(x *exchange) (leave func(), err error) {
	x.caller, err = a.opts.Callers.Authenticate(x.r, x.w.Header())
	if err != nil {
		return nil, err
	}
	return a.opts.Quota.Take(x.r.Context(), x.caller, x.w.Header())
}

// byAddress names a caller after his address.
type byAddress struct{}

func (byAddress) Authenticate(r *http.Request, _ http.Header) (pyexec.Caller, error) {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	return pyexec.Caller{Name: host}, nil
}

// unbounded takes every request.
type unbounded struct{}

func (unbounded) Take(context.Context, pyexec.Caller, http.Header) (func(), error) {
	return func() {}, nil
}
