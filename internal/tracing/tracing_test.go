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
