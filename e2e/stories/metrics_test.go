package stories

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/python-code-executor/pyexec/e2e/e2etest"
)

var metricsAt = regexp.MustCompile(`"metrics":"([^"]+)"`)

// metrics is one scrape: samples by name and labels, as they are written.
func metrics(t testing.TB, url string) map[string]float64 {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != 200 || !strings.HasPrefix(res.Header.Get("Content-Type"), "text/plain; version=0.0.4") {
		t.Fatalf("GET %s: %d %q, %v", url, res.StatusCode, res.Header, err)
	}
	found := map[string]float64{}
	for line := range bytes.Lines(text) {
		name, value, ok := strings.Cut(strings.TrimSpace(string(line)), " ")
		if !ok || name == "#" {
			continue
		}
		if found[name], err = strconv.ParseFloat(value, 64); err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
	return found
}

// withMetrics starts a server and tells where it serves its metrics.
func withMetrics(t *testing.T, args ...string) (*e2etest.Server, string) {
	t.Helper()
	server := start(t, append(args, "--metrics-addr=127.0.0.1:0", "--log-format=json")...)
	m := metricsAt.FindStringSubmatch(server.Log())
	if m == nil {
		t.Fatalf("no address of the metrics in the log:\n%s", server.Log())
	}
	return server, "http://" + m[1] + "/metrics"
}

// TestMetrics: what happens to a server is in its metrics, each thing once.
func TestMetrics(t *testing.T) {
	t.Parallel()
	server, url := withMetrics(t, "--concurrency=1", "--queue=0")
	execute(t, server.BaseURL, request{"script": inMain("return 1")}).want(t, "1")
	execute(t, server.BaseURL, request{"script": inMain("import numpy", "return 1")}).want(t, "1")
	execute(t, server.BaseURL, request{"script": inMain("raise ValueError('pyexec_evil 1')")}).fails(t, 400, "exception")
	execute(t, server.BaseURL, request{"script": inMain("while True: pass"), "timeout_ms": 300}).fails(t, 400, "timeout")
	execute(t, server.BaseURL, request{"nothing": 1}).fails(t, 400, "invalid_request")
	if a := get(t, server.BaseURL+"/nowhere"); a.status != 404 {
		t.Errorf("/nowhere: %d", a.status)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		execute(t, server.BaseURL, request{"script": busy(4)})
	}()
	awaitBusy(t, server, 1)
	execute(t, server.BaseURL, request{"script": inMain("return 1")}).fails(t, 503, "overloaded")
	during := metrics(t, url)
	<-done
	after := metrics(t, url)
	for name, want := range map[string]float64{
		"pyexec_runs_in_progress": 1, "pyexec_runs_queued": 0, "pyexec_concurrency_limit": 1, "pyexec_queue_limit": 0,
		"pyexec_memory_reserved_bytes": 512 << 20,
	} {
		if got, ok := during[name]; !ok || got != want {
			t.Errorf("during a run %s is %v (%v), want %v", name, got, ok, want)
		}
	}
	for name, want := range map[string]float64{
		`pyexec_runs_total{outcome="ok"}`: 3, `pyexec_runs_total{outcome="exception"}`: 1, `pyexec_runs_total{outcome="timeout"}`: 1,
		`pyexec_runs_total{outcome="killed"}`:                             0,
		`pyexec_refusals_total{reason="overloaded"}`:                      1,
		`pyexec_refusals_total{reason="invalid_request"}`:                 1,
		`pyexec_http_requests_total{route="execute",status="200"}`:        3,
		`pyexec_http_requests_total{route="execute",status="400"}`:        3,
		`pyexec_http_requests_total{route="other",status="404"}`:          1,
		"pyexec_run_seconds_count":                                        5,
		"pyexec_queue_wait_seconds_count":                                 5,
		"pyexec_spawn_seconds_count":                                      5,
		`pyexec_run_seconds_bucket{le="10"}`:                              5,
		"pyexec_runs_in_progress":                                         0,
		"pyexec_memory_reserved_bytes":                                    0,
		"pyexec_healthy":                                                  1,
		"pyexec_ready":                                                    1,
		`pyexec_zygote_restarts_total{reason="lost"}`:                     0,
		`pyexec_isolation_layer_active{layer="seccomp"}`:                  1,
		`pyexec_isolation_info{level="` + level(t, server.BaseURL) + `"}`: 1,
	} {
		if got, ok := after[name]; !ok || got != want {
			t.Errorf("%s is %v (%v), want %v", name, got, ok, want)
		}
	}
	for _, name := range []string{"go_goroutines", "process_resident_memory_bytes", `pyexec_slots{zygote="base"}`} {
		if after[name] < 1 {
			t.Errorf("%s is %v", name, after[name])
		}
	}
	eventually(t, 20*time.Second, func() bool { return metrics(t, url)[`pyexec_ready_children{zygote="pandas"}`] >= 1 })
	if err := syscall.Kill(zygote(t, server).Pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, 20*time.Second, func() bool {
		return metrics(t, url)[`pyexec_zygote_restarts_total{reason="lost"}`] == 1
	})
}

// level is the isolation that the server says it has.
func level(t testing.TB, url string) string {
	t.Helper()
	isolation, _ := get(t, url+"/health").body["isolation"].(map[string]any)
	s, _ := isolation["level"].(string)
	return s
}

// TestMetricsElsewhere: beside /execute, not at all, and where the address is
// taken: auto goes on without, an address that was asked for stops the start.
func TestMetricsElsewhere(t *testing.T) {
	t.Parallel()
	server := start(t, "--metrics-addr=main")
	if metrics(t, server.BaseURL+"/metrics")["pyexec_ready"] != 1 {
		t.Error("no metrics on the main listener")
	}
	for _, url := range []string{server.BaseURL, func() string { _, url := withMetrics(t); return strings.TrimSuffix(url, "/metrics") }()} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/metrics", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = "rebound.example.com" // as a page's script would have it
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusForbidden {
			t.Errorf("a foreign name gets %d", res.StatusCode)
		}
	}
	// Whoever has it may give it back in the middle of the test; one who has had it for
	// so long is a service of this machine, which is as good.
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if taken, err := net.Listen("tcp", "127.0.0.1:9090"); err == nil {
			defer taken.Close()
			break
		}
	}
	server = start(t, "--metrics-addr=auto")
	if !strings.Contains(server.Log(), "no metrics") {
		t.Errorf("auto does not say that it has no metrics:\n%s", server.Log())
	}
	if a := get(t, server.BaseURL+"/metrics"); a.status != 404 {
		t.Errorf("/metrics on the main listener: %d", a.status)
	}
	server = start(t, "--metrics-addr=off")
	if log := server.Log(); strings.Contains(log, "no metrics") || metricsAt.MatchString(log) {
		t.Errorf("off:\n%s", log)
	}
	e2etest.RequireServer(t)
	if _, err := e2etest.Launch(t.Context(), e2etest.Config{Args: []string{"--metrics-addr=127.0.0.1:9090"}}); err == nil || !strings.Contains(err.Error(), "metrics-addr: listen tcp 127.0.0.1:9090") {
		t.Errorf("an address that is taken: %v", err)
	}
}
