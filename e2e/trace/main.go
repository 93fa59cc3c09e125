// Command trace shows the trace of one request: it starts a server that sends
// its spans here, runs a script with a traceparent, and prints what came.
package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	traces "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/python-code-executor/pyexec/e2e/e2etest"
)

const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-"

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "trace:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	defer e2etest.Cleanup()
	got := make(chan *collector.ExportTraceServiceRequest, 16)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	receiver := &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var spans collector.ExportTraceServiceRequest
		text, err := io.ReadAll(r.Body)
		if err == nil && proto.Unmarshal(text, &spans) == nil {
			got <- &spans
		}
	})}
	go func() { _ = receiver.Serve(listener) }()
	defer receiver.Close()
	server, err := e2etest.Launch(ctx, e2etest.Config{
		Env: []string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://" + listener.Addr().String()},
	})
	if err != nil {
		return err
	}
	status, body := 0, ""
	for _, sampled := range []string{"00", "00", "00", "01"} { // the first ones are not traced, and warm what is cold
		if status, body, err = execute(ctx, server.BaseURL, parent+sampled); err != nil {
			return err
		}
	}
	if err := server.Stop(); err != nil { // sends what it has
		return err
	}
	fmt.Printf("traceparent: %s01\n%d %s\n\n", parent, status, body)
	close(got)
	for spans := range got {
		show(spans)
	}
	return nil
}

func execute(ctx context.Context, url, traceparent string) (status int, body string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/execute",
		strings.NewReader(`{"script": "def main():\n    print('hello')\n    return sum(range(100000))"}`))
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Traceparent", traceparent)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return res.StatusCode, string(text), err
}

func show(of *collector.ExportTraceServiceRequest) {
	for _, resource := range of.ResourceSpans {
		var spans []*traces.Span
		for _, scope := range resource.ScopeSpans {
			spans = append(spans, scope.Spans...)
		}
		slices.SortStableFunc(spans, func(a, b *traces.Span) int { return int(b.Kind) - int(a.Kind) })
		for _, s := range spans {
			indent := "  "
			if s.Kind == traces.Span_SPAN_KIND_SERVER {
				indent = ""
				fmt.Printf("trace %s, parent %s\n", hex.EncodeToString(s.TraceId), hex.EncodeToString(s.ParentSpanId))
			}
			fmt.Printf("%-16s from %8.3f ms, %8.3f ms long\n", indent+s.Name,
				ms(s.StartTimeUnixNano-spans[0].StartTimeUnixNano), ms(s.EndTimeUnixNano-s.StartTimeUnixNano))
			for _, a := range s.Attributes {
				value := a.Value.String()
				fmt.Printf("    %s = %s\n", a.Key, value[strings.IndexByte(value, ':')+1:])
			}
		}
	}
}

func ms(ns uint64) float64 { return float64(ns) / 1e6 }
