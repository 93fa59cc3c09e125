package httpapi

import (
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"runtime/debug"
	"time"

	"github.com/python-code-executor/pyexec"
)

// exchange is one request and what is known about it so far.
type exchange struct {
	w       http.ResponseWriter
	r       *http.Request
	control *http.ResponseController

	start    time.Time
	id       string
	trace    trace
	route    string // of the closed set of routes, "other" for none
	bodyRead bool   // to its end
	bytesIn  int
	bytesOut int
	caller   pyexec.Caller // known once the request has entered

	sizes     Sizes
	executing time.Time // when the executor was called
	endSpan   func(Answer)
	timing    pyexec.Timing
	isolation string // level that the run had
	stdout    string // of a run that the service lost
	stream    *stream
}

var goodID = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

func newExchange(w http.ResponseWriter, r *http.Request) *exchange {
	x := &exchange{
		w: w, r: r, control: http.NewResponseController(w),
		start: time.Now(), id: r.Header.Get("X-Request-Id"), route: "other",
		trace:    parseTraceparent(r.Header.Values("Traceparent")),
		bodyRead: r.Body == nil || r.Body == http.NoBody,
	}
	if !goodID.MatchString(x.id) {
		x.id = rand.Text()
	}
	return x
}

// log writes the one line of this exchange. Its level depends on what the
// service did and never on what a script did; probes that find nothing wrong
// are kept out of the way.
func (x *exchange) log(logger *slog.Logger, rep reply) {
	level := slog.LevelInfo
	switch {
	case rep.code == pyexec.CodeInternal:
		level = slog.LevelError
	case rep.code == pyexec.CodeUnavailable:
		level = slog.LevelWarn
	case x.route != "execute" && rep.status == http.StatusOK:
		level = slog.LevelDebug
	}
	ctx := x.r.Context()
	if !logger.Enabled(ctx, level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("id", x.id),
		slog.String("route", x.route),
		slog.Int("status", rep.status),
		slog.String("outcome", rep.outcome),
		slog.Float64("total_ms", millis(time.Since(x.start))),
		slog.Int("bytes_in", x.bytesIn),
		slog.Int("bytes_out", x.bytesOut),
	}
	if x.route == "execute" {
		attrs = append(attrs,
			slog.String("caller", x.caller.Name),
			slog.Int("script_bytes", x.sizes.Script),
			slog.Int("result_bytes", x.sizes.Result),
			slog.Int("stdout_bytes", x.sizes.Stdout),
			slog.Int("stderr_bytes", x.sizes.Stderr),
			slog.Float64("queue_ms", millis(x.timing.Queue)),
			slog.Float64("spawn_ms", millis(x.timing.Spawn)),
			slog.Float64("run_ms", millis(x.timing.Run)),
			slog.Bool("stream", x.stream != nil))
	}
	for _, id := range []slog.Attr{
		slog.String("key", x.caller.Key), // its id: whether an old one is still in use
		slog.String("trace_id", x.trace.id), slog.String("span_id", x.trace.span), slog.String("parent_id", x.trace.parent),
	} {
		if id.Value.String() != "" {
			attrs = append(attrs, id)
		}
	}
	if rep.cause != nil {
		attrs = append(attrs, slog.Any("error", rep.cause))
	}
	logger.LogAttrs(ctx, level, "request", attrs...)
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// panicError is the error of a recovered panic, its stack included. Nothing
// of it is shown.
func panicError(p any) error {
	if err, ok := p.(error); ok {
		return fmt.Errorf("bug: panic: %w\n%s", err, debug.Stack())
	}
	return fmt.Errorf("bug: panic: %v\n%s", p, debug.Stack())
}

// answered is what the observers are told.
func (x *exchange) answered(rep reply) Answer {
	return Answer{
		ID: x.id, Caller: x.caller.Name, Route: x.route, Status: rep.status, Outcome: rep.outcome, Code: rep.code,
		Stream: x.stream != nil, Executing: x.executing, Timing: x.timing, Isolation: x.isolation, Sizes: x.sizes,
	}
}

// trace is what a W3C traceparent header says, and the span that was begun.
type trace struct{ id, parent, span string }

var (
	traceparent = regexp.MustCompile(`^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?$`)
	zeros       = regexp.MustCompile(`^0+$`)
)

// parseTraceparent is the zero trace when the header is absent or malformed,
// as the recommendation asks (https://www.w3.org/TR/trace-context/).
func parseTraceparent(values []string) trace {
	if len(values) != 1 || len(values[0]) > 256 {
		return trace{}
	}
	m := traceparent.FindStringSubmatch(values[0])
	switch {
	case m == nil, m[1] == "ff", m[1] == "00" && m[4] != "":
		return trace{}
	case zeros.MatchString(m[2]), zeros.MatchString(m[3]):
		return trace{}
	}
	return trace{id: m[2], parent: m[3]}
}
