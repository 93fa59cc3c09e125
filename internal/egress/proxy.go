// Package egress is the way out for runs that may have one: an HTTP proxy that
// reaches the hosts which a run is allowed, and never the machine, its private
// network or a cloud's metadata.
//
// Each run has a session of its own, on a socket that was made inside the run's
// network namespace; no route leads anywhere else. What comes through it is
// hostile. The package knows nothing of jails: the application gives it
// listeners.
package egress

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	pyexec "github.com/python-code-executor/pyexec"
)

// Limits bound the network use of one run. All must be set.
type Limits struct {
	AtOnce   int          // connections that are open at the same time
	Requests int          // connections in sum
	Bytes    pyexec.Bytes // in both directions together
	Time     time.Duration
}

// Options is what a proxy is built from.
type Options struct {
	Limits Limits
	Log    *slog.Logger

	// Unchecked takes the check of addresses and names away, for the test that
	// shows what it stops.
	Unchecked bool
}

// Proxy serves all runs of a server.
type Proxy struct {
	opts     Options
	log      *slog.Logger
	resolver *net.Resolver
	own      own
	count    counters
}

// New returns a proxy. It has nothing to close: each session ends with its run.
func New(opts Options) *Proxy {
	return &Proxy{opts: opts, log: opts.Log, resolver: &net.Resolver{PreferGo: true}}
}

// CheckRules refuses rules that could never let anybody anywhere.
func CheckRules(rules pyexec.Allow) error {
	for _, d := range rules {
		if d.Public {
			continue
		}
		why := ""
		if addr, err := netip.ParseAddr(d.Host); err == nil {
			why = whyForbidden(addr)
		} else if !d.Subdomains && whyLocal(d.Host) == "a metadata server" {
			why = "a metadata server"
		}
		if why != "" {
			return fmt.Errorf("%s: the address is %s, which no run may reach", d, why)
		}
	}
	return nil
}

// The bounds of a request's form, and how long each step may take.
const (
	maxHeader   = 32 << 10
	headerTime  = 5 * time.Second
	resolveTime = 5 * time.Second
	dialTime    = 5 * time.Second
	placeTime   = 5 * time.Second // for one of AtOnce others to end
	halfTime    = 2 * time.Second // between a destination's words to a client that has said its last
	lingerTime  = time.Second     // for a client to read why it was refused
	spare       = 64              // connections beyond AtOnce that may wait; more are closed without a word
)

// session is one run's use of the proxy.
type session struct {
	proxy  *Proxy
	req    pyexec.Request // its ID, Caller and Allow
	ctx    context.Context
	cancel context.CancelFunc

	bytes  atomic.Int64  // in both directions
	places chan struct{} // one for each request under way

	wg       sync.WaitGroup // joined under mu, and only while not closed
	mu       sync.Mutex
	accepted int
	open     int
	conns    map[net.Conn]bool
	closed   bool
}

// Serve accepts what req's run sends to its listener. The caller must call stop
// when the run has ended: it cuts what is open and waits until nothing is left.
func (p *Proxy) Serve(listener net.Listener, req pyexec.Request) (stop func()) {
	s := &session{proxy: p, req: req, places: make(chan struct{}, p.opts.Limits.AtOnce), conns: map[net.Conn]bool{}}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	server := &http.Server{
		Handler:                      s,
		MaxHeaderBytes:               maxHeader,
		ReadHeaderTimeout:            headerTime,
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     log.New(io.Discard, "", 0), // of what a script sends
		BaseContext:                  func(net.Listener) context.Context { return s.ctx },
		ConnContext:                  func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, connKey{}, c) },
	}
	// One request a connection: what follows it is never read as another.
	server.SetKeepAlivesEnabled(false)
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(&counted{listener, s}) // ends when it is closed
	}()
	return func() {
		s.mu.Lock()
		s.closed = true
		open := make([]net.Conn, 0, len(s.conns))
		for c := range s.conns {
			open = append(open, c)
		}
		s.mu.Unlock()
		for _, c := range open {
			if client, ok := c.(*clientConn); ok {
				client.cut(errEnded)
			}
			_ = c.Close()
		}
		s.cancel()
		_ = server.Close()
		_ = listener.Close() // if it was not served yet
		<-served
		s.wg.Wait()
	}
}

// enter counts a goroutine or a connection in; false when the session has
// ended.
func (s *session) enter(c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.wg.Add(1)
	if c != nil {
		s.conns[c] = true
	}
	return true
}

func (s *session) leave(c net.Conn) {
	if c != nil {
		s.mu.Lock()
		delete(s.conns, c)
		s.mu.Unlock()
	}
	s.wg.Done()
}

// record is what is known of one connection: the line in the log.
type record struct {
	began    time.Time
	method   string // connect, http or ""
	host     string // canonical, or ""
	port     uint16
	addr     netip.Addr
	outcome  Outcome
	reason   string
	settled  bool // what cuts the connection from now on changes nothing
	up, down atomic.Int64
}

// end counts a connection and writes its one line. Nothing of it is the
// script's own words but the host's name, which is canonical: no path, no
// query, no header.
func (s *session) end(r *record, quiet bool) {
	s.proxy.count.end(r.outcome)
	if quiet {
		return
	}
	attrs := []slog.Attr{
		slog.String("id", s.req.ID), slog.String("caller", s.req.Caller), slog.String("outcome", string(r.outcome)),
		slog.String("method", r.method), slog.String("host", r.host), slog.Int("port", int(r.port)),
		slog.Int64("bytes_up", r.up.Load()), slog.Int64("bytes_down", r.down.Load()),
		slog.Float64("total_ms", float64(time.Since(r.began).Microseconds())/1000),
	}
	if r.addr.IsValid() {
		attrs = append(attrs, slog.String("address", r.addr.String()))
	}
	if r.reason != "" {
		attrs = append(attrs, slog.String("reason", r.reason))
	}
	s.proxy.log.LogAttrs(context.Background(), slog.LevelInfo, "egress", attrs...)
}
