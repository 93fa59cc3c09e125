package httpapi

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// NewServer returns a server of handler that a client cannot hold up. There
// is no ReadTimeout and no WriteTimeout, since they would cut the wait and
// the run as well: [API] sets the deadlines of body and answer itself.
func NewServer(handler http.Handler, logger *slog.Logger) *http.Server {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	s := &http.Server{
		Handler:           handler,
		Protocols:         &protocols,
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       60 * time.Second,
		MaxHeaderBytes:    16<<10 - headerSlack,
		// What clients do wrong before a handler runs is for debugging only.
		ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
	BoundConnections(s, 0.5)
	return s
}

// headerSlack is what net/http adds to MaxHeaderBytes.
const headerSlack = 4 << 10

// UseTLS makes s a server for ServeTLS, which speaks HTTP/2 as well.
//
// A client may have 100 requests open on a connection, and net/http runs no
// more handlers than that, however fast it resets them (CVE-2023-44487). Each
// of them may still begin a run that nobody waits for, which costs a child:
// [patience] ends a connection that does little else.
func UseTLS(s *http.Server, certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)) {
	s.Protocols.SetHTTP2(true)
	s.HTTP2 = &http.HTTP2Config{
		MaxConcurrentStreams: 100,
		SendPingTimeout:      30 * time.Second,
		PingTimeout:          15 * time.Second,
		WriteByteTimeout:     30 * time.Second,
	}
	s.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: certificate}
	s.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		return context.WithValue(ctx, patienceKey{}, &patience{conn: c})
	}
	s.Handler = patient(s.Handler)
}

// patience counts what a client of HTTP/2 did with the requests of one
// connection.
type patience struct {
	conn           net.Conn
	all, abandoned atomic.Int64
}

type patienceKey struct{}

// mayAbandon is how many requests a connection may reset before it counts how
// large a part of them all these are.
const mayAbandon = 100

// patient ends a connection of which most requests are reset before they have
// been answered. Those of a proxy whose clients leave now and then are not.
func patient(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, ok := r.Context().Value(patienceKey{}).(*patience)
		if !ok || r.ProtoMajor < 2 {
			next.ServeHTTP(w, r)
			return
		}
		all := p.all.Add(1)
		defer func() { // also when the handler panics to abort
			if r.Context().Err() == nil {
				return
			}
			if n := p.abandoned.Add(1); n > mayAbandon && 2*n > all {
				_ = p.conn.Close()
			}
		}()
		next.ServeHTTP(w, r)
	})
}
