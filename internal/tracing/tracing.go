// Package tracing makes a span of each run, and sends it by OTLP over HTTP to
// where OpenTelemetry's own environment variables say; without them it is off
// and costs nothing. It knows the vocabulary of the root package alone.
package tracing

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/python-code-executor/pyexec"
)

// Tracing makes spans until it is closed.
type Tracing struct {
	provider *sdk.TracerProvider
	tracer   trace.Tracer
	parent   propagation.TextMapPropagator
}

// Run is what a span tells of a run.
type Run struct {
	ID, Caller string
	Status     int
	Outcome    string
	Executing  time.Time // when it began to wait for a place; zero: it never did
	Timing     pyexec.Timing
	Isolation  string
	Stream     bool

	ScriptBytes, ResultBytes, StdoutBytes, StderrBytes int
}

// New reads the environment and returns nil where it asks for no traces. The
// error names every variable that cannot be followed.
func New(ctx context.Context, version string, log *slog.Logger) (*Tracing, error) {
	s, err := settings()
	if err != nil || s == nil {
		return nil, err
	}
	exporter, err := otlptrace.New(ctx, newClient(*s))
	if err != nil {
		return nil, err
	}
	about, err := resource.New(ctx,
		resource.WithAttributes(attribute.String("service.name", "pyexec"), attribute.String("service.version", version)),
		resource.WithTelemetrySDK(), resource.WithFromEnv())
	if err != nil {
		return nil, err
	}
	// The SDK has no other place for what goes wrong in the background.
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Warn("traces", "error", err) }))
	provider := sdk.NewTracerProvider(sdk.WithBatcher(exporter), sdk.WithResource(about))
	return &Tracing{
		provider: provider, tracer: provider.Tracer("github.com/python-code-executor/pyexec"), parent: s.parent,
	}, nil
}

// closeTime is how long a stop may wait for the receiver.
const closeTime = 2 * time.Second

// Close sends what has not been sent, if the receiver takes it in time.
func (t *Tracing) Close() {
	if t != nil {
		ctx, cancel := context.WithTimeout(context.Background(), closeTime)
		defer cancel()
		if err := t.provider.Shutdown(ctx); err != nil {
			otel.Handle(err)
		}
	}
}

// Begin starts the span of a request that came with these headers. It returns
// the ids of its trace and of the span itself, and what ends it.
func (t *Tracing) Begin(header http.Header, start time.Time) (traceID, spanID string, end func(Run)) {
	ctx := t.parent.Extract(context.Background(), propagation.HeaderCarrier(header))
	ctx, span := t.tracer.Start(ctx, "POST /execute", trace.WithTimestamp(start), trace.WithSpanKind(trace.SpanKindServer),
		trace.WithAttributes(attribute.String("http.request.method", http.MethodPost), attribute.String("http.route", "/execute")))
	of := span.SpanContext()
	return of.TraceID().String(), of.SpanID().String(), func(run Run) { t.end(ctx, span, run) }
}

func (t *Tracing) end(ctx context.Context, span trace.Span, run Run) {
	if span.IsRecording() {
		span.SetAttributes(
			attribute.Int("http.response.status_code", run.Status),
			attribute.String("pyexec.request_id", run.ID),
			attribute.String("pyexec.caller", run.Caller),
			attribute.String("pyexec.outcome", run.Outcome),
			attribute.Bool("pyexec.stream", run.Stream),
		)
		if run.Status >= http.StatusInternalServerError { // what a script did is no error of the service
			span.SetStatus(codes.Error, run.Outcome)
			span.SetAttributes(attribute.String("error.type", run.Outcome))
		}
		if !run.Executing.IsZero() {
			span.SetAttributes(
				attribute.String("pyexec.isolation", run.Isolation),
				attribute.Int("pyexec.script_bytes", run.ScriptBytes),
				attribute.Int("pyexec.result_bytes", run.ResultBytes),
				attribute.Int("pyexec.stdout_bytes", run.StdoutBytes),
				attribute.Int("pyexec.stderr_bytes", run.StderrBytes),
			)
			t.parts(ctx, run)
		}
	}
	span.End()
}

// parts are the spans of what a run was waiting for and doing, one after the
// other.
func (t *Tracing) parts(ctx context.Context, run Run) {
	at := run.Executing
	for _, part := range []struct {
		name string
		took time.Duration
	}{{"queue", run.Timing.Queue}, {"spawn", run.Timing.Spawn}, {"run", run.Timing.Run}} {
		if part.name != "queue" && run.Timing.Run == 0 {
			return // it was not begun
		}
		_, span := t.tracer.Start(ctx, part.name, trace.WithTimestamp(at))
		at = at.Add(part.took)
		span.End(trace.WithTimestamp(at))
	}
}
