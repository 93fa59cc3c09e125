package httpapi_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/python-code-executor/pyexec"
	"github.com/python-code-executor/pyexec/e2e/badrequests"
	"github.com/python-code-executor/pyexec/internal/admission"
	"github.com/python-code-executor/pyexec/internal/httpapi"
)

// fake is an executor that returns its input, or what set says.
type fake struct {
	running atomic.Int32
	got     atomic.Pointer[pyexec.Request]
	set     func(ctx context.Context, req pyexec.Request) (pyexec.Result, error)
}

func (f *fake) Execute(ctx context.Context, req pyexec.Request) (pyexec.Result, error) {
	f.got.Store(&req)
	f.running.Add(1)
	defer f.running.Add(-1)
	if f.set != nil {
		return f.set(ctx, req)
	}
	res := pyexec.Result{Value: req.Input, Isolation: pyexec.Isolation{Level: "full"}}
	if res.Value == nil {
		res.Value = json.RawMessage("null")
	}
	switch req.Script {
	case badrequests.ScriptStdin:
		res.Stdout = req.Stdin
	case badrequests.ScriptLarge:
		n, _ := strconv.Atoi(string(req.Input))
		res.Value = json.RawMessage(`"` + strings.Repeat("x", n) + `"`)
	case badrequests.ScriptSleep:
		s, _ := strconv.ParseFloat(string(req.Input), 64)
		select {
		case <-time.After(time.Duration(s * float64(time.Second))):
		case <-ctx.Done():
			return pyexec.Result{}, &pyexec.Error{Code: pyexec.CodeCanceled, Err: ctx.Err()}
		}
	}
	return res, nil
}

// serve starts a server on a free port and returns its address.
func serve(t *testing.T, opts httpapi.Options) string {
	t.Helper()
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := httpapi.NewServer(httpapi.New(opts), opts.Logger)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(ln)
	}()
	t.Cleanup(func() {
		_ = srv.Close()
		<-done
	})
	return ln.Addr().String()
}

func TestBadRequests(t *testing.T) {
	f := &fake{}
	const concurrency, queue = 4, 64
	places := admission.New(admission.Options{Concurrency: concurrency, Queue: queue}, f)
	addr := serve(t, httpapi.Options{Executor: places, WriteTimeout: 2 * time.Second})
	badrequests.Run(t, addr, badrequests.Options{
		Places:       concurrency + queue,
		Running:      func() int { return int(f.running.Load()) },
		WriteTimeout: 2 * time.Second,
	})
}
