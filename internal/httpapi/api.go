// Package httpapi is the HTTP door: it decides whether a request's form is
// right, hands it to an Executor, and writes what came of it. The contract is
// POST /execute, GET /health, GET /livez and GET /readyz, and what describes
// them; everything else is a JSON error.
//
// It knows the vocabulary of the root package and the document of the API, and
// nothing of pools or jails.
package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/python-code-executor/pyexec"
	"github.com/python-code-executor/pyexec/internal/openapi"
)

// Options are what an [API] needs. Executor is required; everything else has
// a default that works.
type Options struct {
	Executor pyexec.Executor
	Limits   pyexec.Limits // zero: DefaultLimits
	Allow    pyexec.Allow  // what a run may reach; its request may narrow it

	Callers Callers // nil: everybody may call, by the name of his address
	Quota   Quota   // nil: as often as they like

	Browsers Browsers

	// Health tells the state for GET /health. It is called for every probe
	// and should answer from a cache.
	Health func(context.Context) Health
	// Ready is nil when runs are taken. Of another error, the message is shown
	// if it is an *pyexec.Error.
	Ready func() error

	// Observe is told of every answer, after it was written; it must not wait.
	Observe func(Answer)
	// Trace begins the span of a POST /execute that came with these headers.
	// It returns the ids of trace and span for the log, and what ends the span.
	// Nil makes none.
	Trace func(header http.Header, start time.Time) (traceID, spanID string, end func(Answer))

	// Pages are documents at paths of their own, for GET: each call makes the
	// header, in which Content-Type must be, and the body.
	Pages map[string]func(*http.Request) (http.Header, []byte)

	Logger       *slog.Logger
	Version      string
	BodyTimeout  time.Duration // for the client to send the body; 0: 10 s
	WriteTimeout time.Duration // for the client to take an answer, or the next events; 0: 30 s
	Heartbeat    time.Duration // of a stream in which nothing happens; 0: 3 s
}

// Answer is what Observe and a span are told.
type Answer struct {
	ID, Caller string
	Route      string      // of the closed set of routes, "other" for none
	Status     int         // 499: the client left
	Outcome    string      // "ok" or the error's type
	Code       pyexec.Code // why no run came of it; empty where one did, or none was asked for
	Stream     bool

	Executing time.Time // when the executor was called; zero: it was not
	Timing    pyexec.Timing
	Isolation string
	Sizes     Sizes
}

// Sizes are in bytes.
type Sizes struct{ Script, Result, Stdout, Stderr int }

// API is the handler of all routes.
type API struct {
	opts     Options
	browsers *browsers
	document func() []byte // made when it is first asked for
	page     func() []byte // as well
}

// New returns the handler. Serve it with [NewServer].
func New(opts Options) *API {
	if opts.Limits == (pyexec.Limits{}) {
		opts.Limits = pyexec.DefaultLimits()
	}
	if opts.Callers == nil {
		opts.Callers = byAddress{}
	}
	if opts.Quota == nil {
		opts.Quota = unbounded{}
	}
	if opts.Health == nil {
		opts.Health = func(context.Context) Health { return Health{} }
	}
	if opts.Ready == nil {
		opts.Ready = func() error { return nil }
	}
	if opts.Observe == nil {
		opts.Observe = func(Answer) {}
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.BodyTimeout == 0 {
		opts.BodyTimeout = 10 * time.Second
	}
	if opts.WriteTimeout == 0 {
		opts.WriteTimeout = 30 * time.Second
	}
	if opts.Heartbeat == 0 {
		opts.Heartbeat = 3 * time.Second
	}
	return &API{
		opts:     opts,
		browsers: newBrowsers(opts.Browsers),
		document: sync.OnceValue(func() []byte { return openapi.Document(opts.Version, opts.Limits) }),
		page:     sync.OnceValue(func() []byte { return openapi.Page(opts.Version, opts.Limits) }),
	}
}

type route struct {
	name    string // in logs
	methods []string
	handle  func(*API, *exchange) reply
}

// routes are matched by the exact bytes of the request's path. ServeMux is not
// used: it answers //execute by a redirect that keeps the body, and a client
// that follows it runs a script at a path that a proxy never judged.
var routes = map[string]route{
	"/execute": {"execute", []string{http.MethodPost}, (*API).execute},
	"/health":  {"health", []string{http.MethodGet, http.MethodHead}, (*API).health},
	"/livez":   {"livez", []string{http.MethodGet, http.MethodHead}, (*API).livez},
	"/readyz":  {"readyz", []string{http.MethodGet, http.MethodHead}, (*API).readyz},

	"/openapi.json": {"openapi", []string{http.MethodGet, http.MethodHead}, (*API).openapi},
	"/docs":         {"docs", []string{http.MethodGet, http.MethodHead}, (*API).docs},
}

// pageRoute is the route of a document.
func pageRoute(page func(*http.Request) (http.Header, []byte)) route {
	return route{"page", []string{http.MethodGet, http.MethodHead}, func(_ *API, x *exchange) reply {
		header, body := page(x.r)
		return reply{status: http.StatusOK, header: header, body: body, outcome: "ok"}
	}}
}

// ServeHTTP answers one request and logs one line about it.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := newExchange(w, r)
	harmless(w.Header())
	if !x.bodyRead {
		_ = x.control.SetReadDeadline(x.start.Add(a.opts.BodyTimeout))
	}
	rep := a.answer(x)
	if rep.status != statusClientGone {
		a.write(x, rep)
	}
	done := x.answered(rep)
	a.opts.Observe(done)
	if x.endSpan != nil {
		x.endSpan(done)
	}
	x.log(a.opts.Logger, rep) //nolint:contextcheck // the line is written for requests that have ended, too
	if rep.status == statusClientGone {
		panic(http.ErrAbortHandler) // closes the connection without a word
	}
	a.linger(x)
}

// answer dispatches; a panic becomes an internal error and the process lives.
func (a *API) answer(x *exchange) (rep reply) {
	defer func() {
		if p := recover(); p != nil {
			rep = x.failed(panicError(p))
		}
	}()
	path := x.r.URL.EscapedPath()
	rt, ok := routes[path]
	if page := a.opts.Pages[path]; !ok && page != nil {
		rt, ok = pageRoute(page), true
	}
	if ok {
		x.route = rt.name
	}
	shared := a.browsers.allow(x.r, x.w.Header())
	if err := a.browsers.check(x.r); err != nil {
		return x.failed(err)
	}
	if !ok {
		return x.failed(&pyexec.Error{
			Code:    pyexec.CodeNotFound,
			Message: "there is nothing at this path: POST /execute runs a script, GET /health tells the state",
		})
	}
	for _, m := range rt.methods {
		if x.r.Method == m {
			return rt.handle(a, x)
		}
	}
	if shared && x.r.Method == http.MethodOptions && x.r.Header.Get("Access-Control-Request-Method") != "" {
		return x.preflight(rt.methods)
	}
	return x.wrongMethod(rt.methods)
}

// execute is POST /execute. Nothing of the server is in use for a request
// until its whole body has come and is right.
func (a *API) execute(x *exchange) reply {
	if a.opts.Trace != nil {
		x.trace.id, x.trace.span, x.endSpan = a.opts.Trace(x.r.Header, x.start)
	}
	leave, err := a.enter(x)
	if err != nil {
		return x.failed(err)
	}
	defer leave()
	if err := acceptable(x.r); err != nil {
		return x.failed(err)
	}
	body, err := x.readBody(int64(a.opts.Limits.Body))
	if err != nil {
		return x.failed(err)
	}
	req, err := DecodeRequest(body, x.caller.Lower(a.opts.Limits))
	if err != nil {
		return x.failed(err)
	}
	if req.Allow, err = narrow(x.caller.Reach(a.opts.Allow), req.Allow); err != nil {
		return x.failed(err)
	}
	req.ID, req.Caller = x.id, x.caller.Name
	req.Policy, req.Isolation = x.caller.Policy, x.caller.Isolation
	execute := a.opts.Executor.Execute
	if wantsStream(x.r) {
		x.stream = newStream(x, a.opts)
		execute = x.stream.execute
	}
	x.executing = time.Now()
	res, err := execute(x.r.Context(), req)
	x.timing, x.isolation = res.Timing, res.Isolation.Level
	x.sizes = Sizes{len(req.Script), len(res.Value), len(res.Stdout), len(res.Stderr)}
	if err != nil {
		if pyexec.CodeOf(err) == pyexec.CodeCanceled && x.r.Context().Err() == nil && (x.stream == nil || x.stream.err == nil) {
			err = &pyexec.Error{Code: pyexec.CodeInternal, Err: errors.Join(errors.New("bug: canceled with the client still there"), err)}
		}
		x.stdout = res.Stdout
		return x.failed(err)
	}
	return x.ran(req, res)
}
