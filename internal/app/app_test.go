package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/python-code-executor/pyexec/internal/config"
	"github.com/python-code-executor/pyexec/internal/jail"
)

func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == jail.LaunchCommand {
		fmt.Fprintln(os.Stderr, jail.Launch(os.Args[2]))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func newApp(t *testing.T, args ...string) *App {
	t.Helper()
	a, err := New(t.Context(), load(t, args...), "test", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func load(t *testing.T, args ...string) config.Config {
	t.Helper()
	root, err := filepath.Abs("../../.pyexec")
	if err != nil {
		t.Fatal(err)
	}
	python := filepath.Join(root, "venv/bin/python3")
	if _, err := os.Stat(python); err != nil {
		t.Skip("no virtual environment: make setup")
	}
	args = append([]string{
		"--addr=127.0.0.1:0", "--python=" + python, "--nsjail=" + filepath.Join(root, "bin/nsjail"), "--concurrency=2", "--ready=1",
	}, args...)
	c, err := config.Load(config.Source{Args: args})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func post(a *App, script string) (int, string) {
	body := fmt.Sprintf(`{"script": %q}`, script)
	res, err := http.Post("http://"+a.Addr()+"/execute", "application/json", strings.NewReader(body))
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(res.Body)
	return res.StatusCode, string(text)
}

func get(a *App, path string) int {
	res, err := http.Get("http://" + a.Addr() + path)
	if err != nil {
		return 0
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode
}

// TestLife starts a server, uses it and drains it: readiness fails first, the
// run that goes on is ended with the grace period, and nothing is left.
func TestLife(t *testing.T) {
	before := runtime.NumGoroutine()
	a := newApp(t, "--grace=500ms")
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- a.Run(ctx) }()
	if status, body := post(a, "def main():\n    return 42"); status != 200 || !strings.Contains(body, "42") {
		t.Fatalf("%d %s", status, body)
	}
	for get(a, "/readyz") != 200 { // the test's own deadline bounds it
		time.Sleep(10 * time.Millisecond)
	}
	if status := get(a, "/health"); status != 200 {
		t.Errorf("/health: %d", status)
	}
	type answer struct {
		status int
		body   string
	}
	long := make(chan answer, 1)
	go func() {
		status, body := post(a, "import time\ndef main():\n    time.sleep(8)\n    return 1")
		long <- answer{status, body}
	}()
	for a.admission.Stats().Running == 0 {
		time.Sleep(time.Millisecond)
	}
	cancel()
	for get(a, "/readyz") == 200 {
		time.Sleep(time.Millisecond)
	}
	if status, _ := post(a, "def main():\n    return 1"); status != 503 {
		t.Errorf("a run while draining: %d", status)
	}
	began := time.Now()
	if got := <-long; got.status != 503 {
		t.Errorf("the run that outlived the grace period: %+v", got)
	}
	if err := <-stopped; err != nil {
		t.Errorf("Run: %v", err)
	}
	if d := time.Since(began); d > 5*time.Second {
		t.Errorf("stopping took %v", d)
	}
	http.DefaultClient.CloseIdleConnections()
	for deadline := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			var b bytes.Buffer
			buf := make([]byte, 1<<20)
			b.Write(buf[:runtime.Stack(buf, true)])
			t.Fatalf("%d goroutines, before there were %d\n%s", runtime.NumGoroutine(), before, b.String())
		}
	}
}

func TestHealthIsCachedAndEndsWithTheServer(t *testing.T) {
	a := newApp(t)
	a.health.start()
	first := a.health.lastTry
	for range 10 {
		if h := a.health.check(t.Context()); h.Reason != "" {
			t.Errorf("health: %+v", h)
		}
	}
	if a.health.lastTry != first {
		t.Error("each request is a probe")
	}
	a.health.lastTry = first.Add(-2 * probeFresh)
	a.health.check(t.Context())
	if !a.health.lastTry.After(first) {
		t.Error("an old answer was not asked for again")
	}
	a.Close()
	a.health.lastTry, a.health.lastGood = time.Time{}, time.Time{}
	if h := a.health.check(t.Context()); h.Reason == "" || a.health.slot != nil {
		t.Errorf("after Close: %+v, slot %v", h, a.health.slot)
	}
}

func TestAddressInUse(t *testing.T) {
	a := newApp(t)
	defer a.Close()
	c := a.config
	c.Addr = a.Addr()
	if b, err := New(t.Context(), c, "test", slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "addr: listen") {
		t.Errorf("%v, %v", b, err)
	}
}

// TestAStartNamesEveryFault, and leaves nothing open that it has opened before
// one.
func TestAStartNamesEveryFault(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "nowhere")
	bad := []string{
		"--require-isolation=bogus,foo", "--unsafe-disable-layers=bar", "--oidc-issuer=baz", "--oidc-audience=x", "--egress=127.0.0.1,example.com",
		"--keys-file=/nowhere/keys", "--tls-cert=/nowhere/cert", "--tls-key=/nowhere/key", "--audit-log=/nowhere/audit",
		"--addr=" + taken.Addr().String(), "--metrics-addr=" + taken.Addr().String(),
	}
	c := load(t, bad...)
	_, err = New(t.Context(), c, "test", slog.New(slog.DiscardHandler))
	if !errors.Is(err, ErrConfig) {
		t.Fatalf("%v", err)
	}
	names := []string{`"bogus", "foo"`, `"bar"`, `"baz"`, "egress: 127.0.0.1"}
	for _, want := range append(names, "/nowhere/keys", "/nowhere/cert", "/nowhere/key", "/nowhere/audit", "OTEL_EXPORTER_OTLP_ENDPOINT", "\naddr: ", "\nmetrics-addr: ") {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error lacks %s:\n%v", want, err)
		}
	}
	checked := Check(c)
	for _, want := range names {
		if checked == nil || !strings.Contains(checked.Error(), want) {
			t.Errorf("Check lacks %s:\n%v", want, checked)
		}
	}
	if n := strings.Count(fmt.Sprint(checked), "\n") + 1; n != len(names) {
		t.Errorf("Check names %d faults, want %d:\n%v", n, len(names), checked)
	}

	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
	audit := filepath.Join(t.TempDir(), "audit")
	goroutines, files := runtime.NumGoroutine(), descriptors(t)
	for _, bad := range []string{"--require-isolation=bogus", "--keys-file=/nowhere", "--addr=" + taken.Addr().String(), "--metrics-addr=" + taken.Addr().String()} {
		c := load(t, "--metrics-addr=127.0.0.1:0", "--audit-log="+audit, bad)
		if _, err := New(t.Context(), c, "test", slog.New(slog.DiscardHandler)); err == nil {
			t.Errorf("%s is accepted", bad)
		}
	}
	if n := descriptors(t); n != files {
		t.Errorf("%d descriptors, before there were %d", n, files)
	}
	for deadline := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > goroutines; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, before there were %d", runtime.NumGoroutine(), goroutines)
		}
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}
