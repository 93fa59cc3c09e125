package egress

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"
	"time"
)

// ServeHTTP serves the one request of a connection: CONNECT HOST:PORT, or any
// other method with the whole http:// URL.
func (s *session) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c, ok := r.Context().Value(connKey{}).(*clientConn)
	if !ok || !c.handled.CompareAndSwap(false, true) || !s.enter(nil) {
		panic(http.ErrAbortHandler)
	}
	defer s.leave(nil)
	defer c.end() //nolint:contextcheck // the line is written for connections that have ended, too
	c.line.method = "http"
	if r.Method == http.MethodConnect {
		c.line.method = "connect"
	}
	up, t, no := s.reach(c, r)
	if no != nil {
		c.line.outcome, c.line.reason, c.line.settled = no.outcome, no.message, true
		s.answer(w, no)
		return
	}
	defer up.Close()
	if r.Method == http.MethodConnect {
		c.line.outcome = OK
		s.tunnel(w, c, up)
		return
	}
	c.line.outcome, c.line.reason = Cut, "one side went away in the middle of it" // forward ends by a panic then
	s.forward(w, r, up, t)
	if c.line.outcome == Cut && c.cutBy() == nil {
		c.line.outcome, c.line.reason, c.line.settled = OK, "", true
	}
}

// reach decides where a request may go, and connects.
func (s *session) reach(c *clientConn, r *http.Request) (*serverConn, target, *refusal) {
	limits := s.proxy.opts.Limits
	switch {
	case c.overall:
		return nil, target{}, refuse(429, Limited, "the run has made its %d connections", limits.Requests)
	case s.bytes.Load() >= int64(limits.Bytes):
		return nil, target{}, refuse(429, Limited, "the run has sent and received its %s", limits.Bytes)
	}
	t, no := destination(r)
	if no != nil {
		return nil, t, no
	}
	c.line.host, c.line.port = t.host, t.port
	if no := s.allowed(t); no != nil {
		return nil, t, no
	}
	if !s.takePlace(r.Context()) {
		return nil, t, refuse(429, Limited, "the run has %d connections open, the most that it may have", limits.AtOnce)
	}
	addrs, no := s.resolve(r.Context(), t)
	if no != nil {
		<-s.places
		return nil, t, no
	}
	up, no := s.dial(r.Context(), c, addrs, t)
	return up, t, no
}

// takePlace waits until the run has fewer than AtOnce connections: it may be
// done with one that the destination has yet to close.
func (s *session) takePlace(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, placeTime)
	defer cancel()
	select {
	case s.places <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// unreadable is the proxy's answer in the place of the HTTP server's own, of
// which the status counts.
func unreadable(answer []byte) *refusal {
	no := refuse(400, Malformed, "this is no HTTP request that can be read")
	fields := bytes.Fields(answer[:min(len(answer), 100)])
	if len(fields) < 2 {
		return no
	}
	switch string(fields[1]) {
	case "417":
		no = refuse(417, Malformed, "of Expect the proxy knows 100-continue alone")
	case "431":
		no = refuse(431, Malformed, "the request's header is larger than %d KiB", maxHeader>>10)
	case "501":
		no.message = "of transfer codings the proxy takes chunked alone"
	case "505":
		no.message = "the proxy speaks HTTP/1.0 and HTTP/1.1"
	}
	return no
}

// destination is the host that a request names. The Host header counts for
// nothing: net/http has put the URL's in its place.
func destination(r *http.Request) (target, *refusal) {
	if r.Method == http.MethodConnect {
		// Of what is more than HOST:PORT, as a path, net/http makes more fields.
		if r.URL.Path != "" || r.URL.RawQuery != "" || r.URL.User != nil || r.URL.Host != r.RequestURI {
			return target{}, refuse(400, Malformed, "CONNECT takes HOST:PORT and nothing else")
		}
		return targetOf(r.URL.Host, 0)
	}
	switch {
	case r.URL.Host == "":
		return target{}, refuse(400, Malformed, "this is a proxy: send the whole URL, as in GET http://example.com/ HTTP/1.1")
	case r.URL.Scheme == "https":
		return target{}, refuse(400, Malformed, "for https:// the proxy takes CONNECT HOST:PORT")
	case r.URL.Scheme != "http" || r.URL.Opaque != "":
		return target{}, refuse(400, Malformed, "the proxy takes http:// URLs and CONNECT")
	case r.URL.User != nil:
		return target{}, refuse(400, Malformed, "a URL with a user or a password in it is not forwarded; send them in the Authorization header")
	case strings.HasSuffix(r.URL.Host, ":"):
		return target{}, refuse(400, Malformed, "the URL has a colon without a port")
	}
	return targetOf(r.URL.Host, 80)
}

// answer refuses a request.
func (s *session) answer(w http.ResponseWriter, no *refusal) {
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(lingerTime))
	if _, err := conn.Write(no.answer()); err == nil {
		linger(conn, buffered.Reader)
	}
}

// linger lets the client read its answer: closing with bytes unread would
// reset the connection under it.
func linger(conn net.Conn, rest *bufio.Reader) {
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
		_, _ = io.Copy(io.Discard, io.LimitReader(rest, 1<<20))
	}
}

// tunnel carries bytes both ways until both sides are done.
func (s *session) tunnel(w http.ResponseWriter, c *clientConn, up *serverConn) {
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return
	}
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		carry(up, buffered.Reader, up.CloseWrite, conn, up)
	}()
	carry(conn, up, c.CloseWrite, conn, up)
	<-sent
}

// carry copies one direction. After its end the other one may go on; after an
// error both are over.
func carry(to io.Writer, from io.Reader, done func() error, both ...io.Closer) {
	// Without the shortcuts of io.Copy: each piece is counted before the next.
	_, err := io.CopyBuffer(struct{ io.Writer }{to}, struct{ io.Reader }{from}, make([]byte, 32<<10))
	if err == nil {
		err = done()
	}
	if err != nil {
		for _, c := range both {
			_ = c.Close()
		}
	}
}

// forward sends one plain request on and its answer back.
func (s *session) forward(w http.ResponseWriter, r *http.Request, up *serverConn, t target) {
	transport := &http.Transport{
		DialContext:            func(context.Context, string, string) (net.Conn, error) { return up, nil },
		DisableKeepAlives:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: 64 << 10,
	}
	host := t.String()
	if t.port == 80 {
		host = strings.TrimSuffix(host, ":80")
	}
	proxy := httputil.ReverseProxy{
		Transport: transport,
		Rewrite: func(p *httputil.ProxyRequest) {
			p.Out.URL.Host, p.Out.Host = t.String(), host
			p.Out.URL.RawQuery = p.In.URL.RawQuery // as it is: ReverseProxy drops what it cannot read
		},
		FlushInterval: -1,
		ErrorLog:      log.New(io.Discard, "", 0),
		ModifyResponse: func(resp *http.Response) error {
			resp.Header.Del("Proxy-Status") // of an upgrade, whose header does not go through others
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			if r.Context().Err() != nil {
				panic(http.ErrAbortHandler) // nobody is there to be answered
			}
			no := &refusal{status: 502, outcome: Unreachable, message: fmt.Sprintf("%s did not answer as HTTP servers do", t), cause: err}
			if errors.Is(err, errBytes) {
				no = refuse(429, Limited, "the run has sent and received its %s", s.proxy.opts.Limits.Bytes)
			}
			up.client.line.outcome, up.client.line.reason, up.client.line.settled = no.outcome, no.message, true
			s.answer(w, no)
		},
	}
	proxy.ServeHTTP(others{w}, r)
	others{w}.silence() // of trailers
}

// others writes the answers of destinations: Proxy-Status is the proxy's own
// word, also in what comes before an answer (103) and after it (trailers).
type others struct{ http.ResponseWriter }

func (w others) silence() {
	w.Header().Del("Proxy-Status")
	w.Header().Del(http.TrailerPrefix + "Proxy-Status")
}

// WriteHeader implements http.ResponseWriter.
func (w others) WriteHeader(status int) {
	w.silence()
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (w others) Unwrap() http.ResponseWriter { return w.ResponseWriter }
