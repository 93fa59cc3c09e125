package main

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/http"
	"sync"

	"github.com/python-code-executor/pyexec/internal/app"
	"github.com/python-code-executor/pyexec/internal/config"
)

// localServer is a server in this process that nobody else can reach: what
// pyexec run does here takes the same way as a request from afar.
type localServer struct {
	app     *app.App
	pipes   *pipes
	stop    context.CancelFunc
	stopped chan error
	log     *lockedBuffer
}

// serveLocally starts one for a single run at a time.
func serveLocally(ctx context.Context, c config.Config) (*localServer, error) {
	if err := harden(); err != nil {
		return nil, err
	}
	c = c.Private()
	c.Concurrency, c.Queue, c.Ready, c.Grace = 1, 0, 1, 0
	kept := &lockedBuffer{}
	log := slog.New(slog.NewTextHandler(kept, &slog.HandlerOptions{Level: slog.LevelWarn}))
	p := newPipes()
	a, err := app.NewOn(ctx, p, c, version, log)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	s := &localServer{app: a, pipes: p, stop: stop, stopped: make(chan error, 1), log: kept}
	go func() { s.stopped <- a.Run(ctx) }()
	return s, nil
}

// client has connections to this server alone, whatever the URL says.
func (s *localServer) client() *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return s.pipes.dial(ctx) },
	}}
}

// close ends what still runs, and waits until nothing is left of it.
func (s *localServer) close() error {
	s.stop()
	return <-s.stopped
}

// lockedBuffer keeps the server's log, which is of interest only where it is
// the server that fails.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// pipes is a listener whose connections never leave this process.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), closed: make(chan struct{})} }

func (p *pipes) dial(ctx context.Context) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case p.conns <- theirs:
		return ours, nil
	case <-p.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return pipeAddr{} }

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "pipe" }
