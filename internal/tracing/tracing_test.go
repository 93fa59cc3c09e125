package tracing_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/python-code-executor/pyexec/internal/tracing"
)

// environment sets these variables of OpenTelemetry and no others.
func environment(t *testing.T, variables map[string]string) {
	t.Helper()
	for _, set := range os.Environ() {
		if name, _, _ := strings.Cut(set, "="); strings.HasPrefix(name, "OTEL_") {
			t.Setenv(name, "")
		}
	}
	for name, value := range variables {
		t.Setenv(name, value)
	}
}

// TestThePasswordOfTheEndpoint is for the receiver alone.
func TestThePasswordOfTheEndpoint(t *testing.T) {
	const secret = "sEcReT"
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, password, _ := r.BasicAuth(); password != secret || r.URL.RawQuery != "key="+secret {
			t.Errorf("the receiver got %v, %v", r.URL, r.Header)
		}
		w.WriteHeader(http.StatusBadRequest)
	}))
	defer receiver.Close()
	for name, address := range map[string]string{"refused": receiver.Listener.Addr().String(), "unreached": "127.0.0.1:1"} {
		t.Run(name, func(t *testing.T) {
			environment(t, map[string]string{
				"OTEL_EXPORTER_OTLP_ENDPOINT": "http://" + secret + ":" + secret + "@" + address + "/?key=" + secret,
				"OTEL_EXPORTER_OTLP_TIMEOUT":  "300",
			})
			var log bytes.Buffer
			traces, err := tracing.New(t.Context(), "test", slog.New(slog.NewTextHandler(&log, nil)))
			if err != nil {
				t.Fatal(err)
			}
			_, _, end := traces.Begin(http.Header{}, time.Now())
			end(tracing.Run{Status: http.StatusOK})
			traces.Close()
			if text := log.String(); strings.Contains(text, secret) || !strings.Contains(text, "http://"+address+"/v1/traces") {
				t.Errorf("logged %s", text)
			}
		})
	}
	for _, value := range []string{secret + ":" + secret + "@h:4318", "http://u:" + secret + "@", "http://u:" + secret + "%@h", "ftp://u:" + secret + "@h"} {
		environment(t, map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": value})
		_, err := tracing.New(t.Context(), "test", nil)
		if err == nil || strings.Contains(err.Error(), secret) || !strings.Contains(err.Error(), "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: ") {
			t.Errorf("%s: %v", value, err)
		}
	}
}

// TestVariablesOfTheSDK: one that cannot be followed stops the start, by name.
func TestVariablesOfTheSDK(t *testing.T) {
	counts := []string{
		"OTEL_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT",
		"OTEL_SPAN_EVENT_COUNT_LIMIT", "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "OTEL_SPAN_LINK_COUNT_LIMIT", "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT",
	}
	batches := []string{"OTEL_BSP_SCHEDULE_DELAY", "OTEL_BSP_EXPORT_TIMEOUT", "OTEL_BSP_MAX_QUEUE_SIZE", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE"}
	wrong := map[string][]string{
		"OTEL_TRACES_SAMPLER":      {"bogus", "jaeger_remote", "1"},
		"OTEL_TRACES_SAMPLER_ARG":  {"abc", "-0.1", "1.1", "NaN", "50%"},
		"OTEL_RESOURCE_ATTRIBUTES": {"abc", "a=b,c", "a=b,,c=d", "a=b,", "a=%zz", "=b"},
	}
	good := map[string][]string{
		"OTEL_TRACES_SAMPLER":      {"always_on", "ALWAYS_OFF", " traceidratio", "parentbased_always_on", "parentbased_always_off", "parentbased_traceidratio"},
		"OTEL_TRACES_SAMPLER_ARG":  {"0", "1", "0.25", "1e-3"},
		"OTEL_RESOURCE_ATTRIBUTES": {"a=b", "a=b, c=d%20e", "a="},
	}
	for _, name := range append(counts, batches...) {
		wrong[name] = []string{"-1", "x", "1.5", "1000001", "99999999999", "99999999999999999999", " 5", "5s"}
		good[name] = []string{"1", "1000", "1000000"}
	}
	for _, name := range counts {
		good[name] = append(good[name], "0")
	}
	for _, name := range batches {
		wrong[name] = append(wrong[name], "0")
	}
	const batch = "OTEL_BSP_MAX_EXPORT_BATCH_SIZE"
	good[batch], wrong[batch] = []string{"1", "2048"}, append(wrong[batch], "2049") // the queue's own size
	try := func(name, value string) error {
		environment(t, map[string]string{"OTEL_TRACES_EXPORTER": "otlp", name: value})
		traces, err := tracing.New(t.Context(), "test", slog.New(slog.DiscardHandler))
		traces.Close()
		return err
	}
	all := map[string]string{"OTEL_TRACES_EXPORTER": "otlp"}
	for name, values := range wrong {
		all[name] = values[0]
		for _, value := range values {
			if err := try(name, value); err == nil || !strings.HasPrefix(err.Error(), name+": ") {
				t.Errorf("%s=%s: %v", name, value, err)
			}
		}
		for _, value := range good[name] {
			if err := try(name, value); err != nil {
				t.Errorf("%s=%s: %v", name, value, err)
			}
		}
	}
	environment(t, all)
	_, err := tracing.New(t.Context(), "test", slog.New(slog.DiscardHandler))
	for name := range wrong {
		if err == nil || !strings.Contains(err.Error(), name+": ") {
			t.Errorf("%s is not named in %v", name, err)
		}
	}
}
