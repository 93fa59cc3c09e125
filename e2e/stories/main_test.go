// Package stories holds the real server to the HTTP contract and to what
// clients and operators do with it: every row of the error table, every field,
// limits, crowds, crashes and shutdowns. Nothing in it is a mock.
package stories

import (
	"context"
	"flag"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/python-code-executor/pyexec/e2e/e2etest"
)

func TestMain(m *testing.M) {
	flag.Parse()
	// Most of these tests wait for deadlines rather than for a CPU.
	_ = flag.Set("test.parallel", strconv.Itoa(max(4, runtime.GOMAXPROCS(0))))
	code := m.Run()
	if plainUsed.Load() {
		server, err := plain()
		if err == nil {
			err = server.Stop()
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	e2etest.Cleanup()
	os.Exit(code)
}

// plain is the server with default settings that most tests share.
var (
	plainUsed atomic.Bool
	plain     = sync.OnceValues(func() (*e2etest.Server, error) {
		plainUsed.Store(true)
		return e2etest.Launch(context.Background(), e2etest.Config{})
	})
)

// shared is the base URL of the server that tests share.
func shared(t *testing.T) string {
	t.Helper()
	e2etest.RequireServer(t)
	server, err := plain()
	if err != nil {
		t.Fatal(err)
	}
	return server.BaseURL
}

// launch starts a server of the test's own, which the test ends; Stop after
// that is no failure.
func launch(t *testing.T, config e2etest.Config) *e2etest.Server {
	t.Helper()
	e2etest.RequireServer(t)
	server, err := e2etest.Launch(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		select {
		case <-server.Exited():
		default:
			if err := server.Stop(); err != nil {
				t.Error(err)
			}
		}
		if t.Failed() {
			t.Logf("the end of the server's log:\n%s", server.Log())
		}
	})
	return server
}

// start is launch with flags alone.
func start(t *testing.T, args ...string) *e2etest.Server {
	t.Helper()
	return launch(t, e2etest.Config{Args: args})
}
