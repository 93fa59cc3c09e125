// Package e2etest starts the real pyexec binary for tests and accounts for
// what it leaves behind: processes, descriptors, cgroups, mounts, namespaces
// and files.
package e2etest

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

const (
	startPatience = 60 * time.Second // until the first ready child
	stopPatience  = 20 * time.Second // more than the server's own grace period
	logKept       = 64 << 10
)

// Config says how to start a server.
type Config struct {
	Args []string  // flags of pyexec serve, after --addr=127.0.0.1:0 --metrics-addr=off
	Env  []string  // KEY=VALUE, added to the environment of the test
	Log  io.Writer // gets the server's log; nil keeps only its end, for failures

	Dir    string              // where it runs; "" is where the test does
	TLS    bool                // the flags make it serve HTTPS
	Binary string              // instead of the one that Binary finds
	User   *syscall.Credential // who the server runs as; nil is who runs the test
}

// Server is a running pyexec serve.
type Server struct {
	BaseURL string // http://127.0.0.1:PORT
	Pid     int
	Started time.Time

	scheme string
	cmd    *exec.Cmd
	log    *tail
	exited chan struct{} // closed once the process has been reaped
	err    error         // how it exited; valid after exited

	stopOnce sync.Once
	stopErr  error
}

// Start starts a server with more flags, and stops it when the test ends. A
// server that does not then exit with status 0 fails the test.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	return StartWith(t, Config{Args: args})
}

// StartWith is Start with an environment.
func StartWith(t testing.TB, config Config) *Server {
	t.Helper()
	server, err := Launch(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("the end of the server's log:\n%s", server.Log())
		}
	})
	return server
}

// Launch is StartWith without a test: the caller must call Stop.
func Launch(ctx context.Context, config Config) (*Server, error) {
	binary := config.Binary
	if binary == "" {
		var err error
		if binary, err = Binary(); err != nil {
			return nil, err
		}
	}
	server := &Server{log: &tail{also: config.Log}, exited: make(chan struct{}), Started: time.Now(), scheme: "http://"}
	if config.TLS {
		server.scheme = "https://"
	}
	server.cmd = exec.Command(binary, append([]string{"serve", "--addr=127.0.0.1:0", "--metrics-addr=off"}, config.Args...)...)
	server.cmd.Dir = config.Dir
	server.cmd.Env = append(append(os.Environ(), Installed()...), config.Env...)
	server.cmd.Stdout = server.log
	server.cmd.Stderr = server.log
	server.cmd.WaitDelay = stopPatience
	server.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: config.User}
	if err := server.cmd.Start(); err != nil {
		return nil, err
	}
	server.Pid = server.cmd.Process.Pid
	go func() {
		server.err = server.cmd.Wait()
		close(server.exited)
	}()

	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	if err := server.waitReady(ctx); err != nil {
		server.kill()
		return nil, fmt.Errorf("pyexec serve: %w; its log:\n%s", err, server.Log())
	}
	return server, nil
}

// Installed tells a server that is not in the checkout's bin where make setup
// has put Python and nsjail.
func Installed() []string {
	root, err := Root()
	if err != nil {
		return nil
	}
	var env []string
	for name, file := range map[string]string{
		"PYEXEC_PYTHON": ".pyexec/venv/bin/python3", "PYEXEC_NSJAIL": ".pyexec/bin/nsjail",
	} {
		path := filepath.Join(root, file)
		if _, err := os.Stat(path); err == nil && os.Getenv(name) == "" {
			env = append(env, name+"="+path)
		}
	}
	return env
}

// anyCertificate is for servers of tests, whose certificates nobody signed.
var anyCertificate = &http.Client{Transport: &http.Transport{
	TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // on loopback
}}

func (s *Server) waitReady(ctx context.Context) error {
	for {
		if s.BaseURL == "" {
			if addr := findAddr(s.log.Bytes()); addr != "" {
				s.BaseURL = s.scheme + addr
			}
		}
		if s.BaseURL != "" && s.ready(ctx) {
			return nil
		}
		select {
		case <-s.exited:
			return errors.Join(errors.New("it exited before it was ready"), s.err)
		case <-ctx.Done():
			return fmt.Errorf("not ready (address %q): %w", s.BaseURL, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (s *Server) ready(ctx context.Context) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.BaseURL+"/readyz", nil)
	if err != nil {
		return false
	}
	resp, err := anyCertificate.Do(req)
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// Stop sends SIGTERM and waits for the exit with status 0. More calls return
// the first one's error.
func (s *Server) Stop() error {
	s.stopOnce.Do(func() { s.stopErr = s.stop() })
	return s.stopErr
}

func (s *Server) stop() error {
	select {
	case <-s.exited:
		return errors.Join(errors.New("pyexec serve had exited before it was stopped"), s.err, errors.New(s.Log()))
	default:
	}
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-s.exited:
	case <-time.After(stopPatience):
		s.kill()
		return fmt.Errorf("pyexec serve did not exit within %v of SIGTERM; its log:\n%s", stopPatience, s.Log())
	}
	if s.err != nil && !errors.Is(s.err, exec.ErrWaitDelay) {
		return fmt.Errorf("pyexec serve exited with %w; its log:\n%s", s.err, s.Log())
	}
	return nil
}

// kill ends the server's process and no other.
func (s *Server) kill() {
	_ = s.cmd.Process.Kill()
	<-s.exited
}

// Kill ends the server with SIGKILL; Stop has nothing more to do.
func (s *Server) Kill() {
	s.stopOnce.Do(s.kill)
	<-s.exited
}

// Signal sends a signal to the server's process and no other.
func (s *Server) Signal(signal os.Signal) error { return s.cmd.Process.Signal(signal) }

// ExitErr is how the server exited, once Exited is closed; nil is status 0.
func (s *Server) ExitErr() error { return s.err }

// Exited is closed when the process has ended, by itself or by Stop.
func (s *Server) Exited() <-chan struct{} { return s.exited }

// Log is the end of what the server wrote to its standard streams.
func (s *Server) Log() string { return string(s.log.Bytes()) }

// tail keeps the last bytes written to it.
type tail struct {
	mu   sync.Mutex
	kept []byte
	also io.Writer
}

// Write implements io.Writer.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, p...)
	if over := len(t.kept) - logKept; over > 0 {
		t.kept = append([]byte(nil), t.kept[over:]...)
	}
	if t.also != nil {
		_, _ = t.also.Write(p)
	}
	return len(p), nil
}

// Bytes is a copy of what is kept.
func (t *tail) Bytes() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	return bytes.Clone(t.kept)
}

// built says that build has left a file.
var built atomic.Bool

// build is done once in a test process.
var build = sync.OnceValues(func() (string, error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "pyexec-e2e-")
	if err != nil {
		return "", err
	}
	built.Store(true)
	binary := filepath.Join(dir, "pyexec")
	cmd := exec.Command("go", "build", "-o", binary, "./cmd/pyexec")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build ./cmd/pyexec: %w\n%s", err, out)
	}
	return binary, nil
})

// Binary is the pyexec to start: the one that TEST_BINARY names, or one that
// is built once for this process, into the temporary folder.
func Binary() (string, error) {
	if binary := os.Getenv("TEST_BINARY"); binary != "" {
		return filepath.Abs(binary)
	}
	return build()
}

// Cleanup removes what Binary built. Call it from TestMain or at the end of
// a command.
func Cleanup() {
	if !built.Load() {
		return
	}
	if binary, err := build(); err == nil {
		_ = os.RemoveAll(filepath.Dir(binary))
	}
}

// Root is the folder of the checkout.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("no go.mod above the working directory")
		}
	}
}

// Repo is the path of a file of the checkout.
func Repo(t testing.TB, elem ...string) string {
	t.Helper()
	root, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(append([]string{root}, elem...)...)
}

// Shared is the path of a file of the shared folder: SHARED_DIR, or shared
// beside the checkout. Without it the test is skipped, and fails where
// CI=true.
func Shared(t testing.TB, elem ...string) string {
	t.Helper()
	shared := os.Getenv("SHARED_DIR")
	if shared == "" {
		shared = Repo(t, "..", "shared")
	}
	path := filepath.Join(append([]string{shared}, elem...)...)
	if _, err := os.Stat(path); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("the shared folder is missing: %v", err)
		}
		t.Skipf("NOT TESTED: the shared folder is missing: %v; SHARED_DIR may name it", err)
	}
	return path
}

// findAddr finds host:port in the line of the log that says "serving", be it
// JSON or key=value.
func findAddr(log []byte) string {
	for _, line := range strings.Split(string(log), "\n") {
		if !strings.Contains(line, "serving") {
			continue
		}
		for _, key := range []string{`"addr":"`, `"addr": "`, `addr=`} {
			if _, after, ok := strings.Cut(line, key); ok {
				addr := strings.TrimPrefix(strings.TrimPrefix(after, `"`), "http://")
				if end := strings.IndexAny(addr, "\" ,}\t"); end >= 0 {
					addr = addr[:end]
				}
				return addr
			}
		}
	}
	return ""
}
