// Package monitoring holds deploy/monitoring to a real server, a real
// Prometheus, promtool, and Grafana's own schema of dashboards.
package monitoring

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/python-code-executor/pyexec/e2e/e2etest"
)

// tool is the path of prometheus or promtool, which scripts/prometheus.sh
// fetches. Without it the test is skipped, and fails where CI=true.
func tool(t *testing.T, name string) string {
	t.Helper()
	setup := os.Getenv("SETUP_DIR")
	if setup == "" {
		setup = e2etest.Repo(t, ".pyexec")
	}
	if path := filepath.Join(setup, "tools/prometheus", name); executable(path) {
		return path
	}
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("no %s: %v", name, err)
		}
		t.Skipf("NOT TESTED: no %s: scripts/prometheus.sh fetches it", name)
	}
	return path
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode()&0o111 != 0
}

// promtool runs it in deploy/monitoring.
func promtool(t *testing.T, stdin io.Reader, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), tool(t, "promtool"), args...)
	cmd.Dir, cmd.Stdin = e2etest.Repo(t, "deploy", "monitoring"), stdin
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

var metricsAt = regexp.MustCompile(`"metrics":"([^"]+)"`)

// scraped starts a server, uses it, and tells where its metrics are.
func scraped(t *testing.T) (server *e2etest.Server, addr string) {
	t.Helper()
	server = e2etest.Start(t, "--metrics-addr=127.0.0.1:0", "--log-format=json")
	m := metricsAt.FindStringSubmatch(server.Log())
	if m == nil {
		t.Fatalf("no address of the metrics in the log:\n%s", server.Log())
	}
	return server, m[1]
}

func get(t testing.TB, url string) []byte {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %d, %v: %s", url, res.StatusCode, err, text)
	}
	return text
}

// prometheus runs one that scrapes addr five times a second, with our rules,
// and returns its base URL.
func prometheus(t *testing.T, addr string) string {
	t.Helper()
	dir := t.TempDir()
	config := fmt.Sprintf(`
global: {scrape_interval: 200ms, evaluation_interval: 200ms}
rule_files: [%q]
scrape_configs:
  - job_name: pyexec
    static_configs: [{targets: [%q]}]
`, e2etest.Repo(t, "deploy", "monitoring", "alerts.yaml"), addr)
	if err := os.WriteFile(filepath.Join(dir, "prometheus.yml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, nil, "check", "config", filepath.Join(dir, "prometheus.yml"))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listen := l.Addr().String()
	l.Close() // Prometheus cannot tell which port it was given
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, tool(t, "prometheus"), "--config.file="+filepath.Join(dir, "prometheus.yml"),
		"--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+listen, "--log.level=warn")
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // killed
		if t.Failed() {
			t.Logf("Prometheus said:\n%s", said.String())
		}
	})
	return "http://" + listen
}

// query asks for the value of an expression now.
func query(ctx context.Context, base, expr string) (series []json.RawMessage, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/api/v1/query?query="+url.QueryEscape(expr), nil)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	var body struct {
		Status, Error string
		Data          struct{ Result []json.RawMessage }
	}
	if err := json.NewDecoder(res.Body).Decode(&body); err != nil {
		return nil, err
	}
	if body.Status != "success" {
		return nil, fmt.Errorf("%s: %s", expr, body.Error)
	}
	return body.Data.Result, nil
}

// eventually waits for a condition and fails the test when it does not come.
func eventually(t testing.TB, within time.Duration, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(within)
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatalf("it did not come within %v", within)
		}
		time.Sleep(50 * time.Millisecond)
	}
}
