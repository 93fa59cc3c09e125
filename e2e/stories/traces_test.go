package stories

import (
	"compress/gzip"
	"encoding/hex"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	traces "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/python-code-executor/pyexec/e2e/e2etest"
)

// receiver takes OTLP over HTTP as a collector does.
type receiver struct {
	*httptest.Server
	mu       sync.Mutex
	busy     int // so many posts are answered with 503 first
	header   http.Header
	resource map[string]string
	spans    []*traces.Span
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.busy > 0 {
			r.busy--
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		var body io.Reader = req.Body
		if req.Header.Get("Content-Encoding") == "gzip" {
			var err error
			if body, err = gzip.NewReader(req.Body); err != nil {
				t.Error(err)
				return
			}
		}
		text, err := io.ReadAll(body)
		if err != nil || req.Method != http.MethodPost || req.URL.Path != "/v1/traces" || req.Header.Get("Content-Type") != "application/x-protobuf" {
			t.Errorf("the receiver got %s %s %v, %v", req.Method, req.URL, req.Header, err)
		}
		var got collector.ExportTraceServiceRequest
		if err := proto.Unmarshal(text, &got); err != nil {
			t.Error(err)
		}
		r.header, r.resource = req.Header, map[string]string{}
		for _, of := range got.ResourceSpans {
			maps.Copy(r.resource, attributes(of.Resource.Attributes))
			for _, scope := range of.ScopeSpans {
				r.spans = append(r.spans, scope.Spans...)
			}
		}
		answer, _ := proto.Marshal(&collector.ExportTraceServiceResponse{})
		w.Header().Set("Content-Type", "application/x-protobuf")
		_, _ = w.Write(answer)
	}))
	t.Cleanup(r.Close)
	return r
}

func attributes(all []*common.KeyValue) map[string]string {
	found := map[string]string{}
	for _, a := range all {
		found[a.Key] = strings.TrimPrefix(a.Value.String(), "string_value:")
		if _, ok := a.Value.Value.(*common.AnyValue_StringValue); ok {
			found[a.Key] = a.Value.GetStringValue()
		}
	}
	return found
}

// of finds the spans of a trace, the run's own first.
func (r *receiver) of(trace string) []*traces.Span {
	r.mu.Lock()
	defer r.mu.Unlock()
	var found []*traces.Span
	for _, s := range r.spans {
		if hex.EncodeToString(s.TraceId) == trace {
			found = append(found, s)
		}
	}
	slices.SortFunc(found, func(a, b *traces.Span) int { return int(b.Kind) - int(a.Kind) })
	return found
}

func traceparent(trace, flags string) []string {
	return []string{"Traceparent", "00-" + trace + "-00f067aa0ba902b7-" + flags}
}

// TestTraces: a run is a span with queue, spawn and run, of the client's trace
// where it sent one, at a receiver that is busy at first.
func TestTraces(t *testing.T) {
	t.Parallel()
	const sampled, unsampled, refused, failed = "4bf92f3577b34da6a3ce929d0e0e4736", "11f92f3577b34da6a3ce929d0e0e4736", "22f92f3577b34da6a3ce929d0e0e4736", "33f92f3577b34da6a3ce929d0e0e4736"
	to := newReceiver(t)
	to.busy = 1
	server := launch(t, e2etest.Config{Args: []string{"--log-format=json"}, Env: []string{
		"OTEL_EXPORTER_OTLP_ENDPOINT=" + to.URL, "OTEL_EXPORTER_OTLP_HEADERS=api-key=a%20b,other=1", "OTEL_EXPORTER_OTLP_COMPRESSION=gzip",
		"OTEL_SERVICE_NAME=the-name", "OTEL_RESOURCE_ATTRIBUTES=deployment.environment=test", "OTEL_BSP_SCHEDULE_DELAY=50",
	}})
	execute(t, server.BaseURL, request{"script": inMain("print('x')", "return 1")}, traceparent(sampled, "01")...).want(t, "1")
	execute(t, server.BaseURL, request{"script": inMain("return 1")}, traceparent(unsampled, "00")...).want(t, "1")
	execute(t, server.BaseURL, request{"script": inMain("raise ValueError('secret')")}, traceparent(failed, "01")...).fails(t, 400, "exception")
	execute(t, server.BaseURL, request{}, traceparent(refused, "01")...).fails(t, 400, "invalid_request")
	own := execute(t, server.BaseURL, request{"script": inMain("return 1")})
	get(t, server.BaseURL+"/health")
	eventually(t, 20*time.Second, func() bool { return len(to.of(refused)) == 1 && len(to.of(sampled)) == 4 })

	spans := to.of(sampled)
	root := spans[0]
	got := attributes(root.Attributes)
	for key, want := range map[string]string{
		"http.request.method": "POST", "http.route": "/execute", "http.response.status_code": "int_value:200", "pyexec.outcome": "ok",
		"pyexec.caller": "127.0.0.1", "pyexec.stdout_bytes": "int_value:2",
	} {
		if got[key] != want {
			t.Errorf("%s is %q, want %q", key, got[key], want)
		}
	}
	if root.Name != "POST /execute" || root.Kind != traces.Span_SPAN_KIND_SERVER || hex.EncodeToString(root.ParentSpanId) != "00f067aa0ba902b7" {
		t.Errorf("the span of the run is %v", root)
	}
	at := root.StartTimeUnixNano
	for i, name := range []string{"queue", "spawn", "run"} {
		part := spans[i+1]
		if part.Name != name || string(part.ParentSpanId) != string(root.SpanId) {
			t.Errorf("part %d is %v", i, part)
		}
		if part.StartTimeUnixNano < at || part.EndTimeUnixNano < part.StartTimeUnixNano || part.EndTimeUnixNano > root.EndTimeUnixNano {
			t.Errorf("%s is from %d to %d, the whole from %d to %d", name, part.StartTimeUnixNano, part.EndTimeUnixNano, root.StartTimeUnixNano, root.EndTimeUnixNano)
		}
		at = part.EndTimeUnixNano
	}
	if s := to.of(failed)[0]; s.Status.GetCode() == traces.Status_STATUS_CODE_ERROR || attributes(s.Attributes)["pyexec.outcome"] != "exception" {
		t.Errorf("a script that raises is no error of the service: %v", s)
	}
	if to.header.Get("Api-Key") != "a b" || to.resource["service.name"] != "the-name" || to.resource["deployment.environment"] != "test" || to.resource["service.version"] == "" {
		t.Errorf("the receiver got %v, %v", to.header, to.resource)
	}

	lines := withID(t, server.Log(), own.header.Get("X-Request-Id"))
	if len(lines) != 1 {
		t.Fatalf("%d lines of the run", len(lines))
	}
	trace, _ := lines[0]["trace_id"].(string)
	eventually(t, 20*time.Second, func() bool { return len(to.of(trace)) == 4 })
	if hex.EncodeToString(to.of(trace)[0].SpanId) != lines[0]["span_id"] {
		t.Errorf("the log has %v, the receiver %v", lines[0], to.of(trace)[0])
	}
	execute(t, server.BaseURL, request{"script": inMain("return 1")}) // sent at the end at the latest
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	if n := len(to.of(unsampled)); n != 0 {
		t.Errorf("%d spans of a trace that is not sampled", n)
	}
	if n := len(to.spans); n != 4*4+1 {
		t.Errorf("%d spans, want those of four runs and of a refusal", n)
	}
	for _, s := range to.spans {
		if strings.Contains(s.String(), "secret") {
			t.Errorf("a span has what the script wrote: %v", s)
		}
	}
}

// TestTracesCannotHarm: a receiver that is not there costs no run and no stop;
// variables that cannot be followed stop the start, all of them named.
func TestTracesCannotHarm(t *testing.T) {
	t.Parallel()
	server := launch(t, e2etest.Config{Env: []string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://127.0.0.1:9/x", "OTEL_BSP_SCHEDULE_DELAY=10"}})
	execute(t, server.BaseURL, request{"script": inMain("return 1")}).want(t, "1")
	began := time.Now()
	if err := server.Stop(); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > 8*time.Second {
		t.Errorf("the stop took %v", took)
	}
	_, err := e2etest.Launch(t.Context(), e2etest.Config{Env: []string{
		"OTEL_EXPORTER_OTLP_ENDPOINT=localhost:4317", "OTEL_EXPORTER_OTLP_PROTOCOL=grpc", "OTEL_EXPORTER_OTLP_HEADERS=sEcReT",
		"OTEL_EXPORTER_OTLP_TIMEOUT=soon", "OTEL_PROPAGATORS=b3",
	}})
	if err == nil {
		t.Fatal("the server started")
	}
	for _, want := range []string{"OTEL_EXPORTER_OTLP_ENDPOINT: ", "OTEL_EXPORTER_OTLP_PROTOCOL: ", "OTEL_EXPORTER_OTLP_HEADERS: ", "OTEL_EXPORTER_OTLP_TIMEOUT: ", "OTEL_PROPAGATORS: "} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not named in %v", want, err)
		}
	}
	if strings.Contains(err.Error(), "sEcReT") {
		t.Errorf("a header's value is shown: %v", err)
	}
	e2etest.RequireServer(t)
}
