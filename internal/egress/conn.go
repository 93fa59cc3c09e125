package egress

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

type connKey struct{}

// counted is the listener of a session: it bounds and tracks what it accepts.
type counted struct {
	net.Listener
	session *session
}

// Accept implements net.Listener.
func (l *counted) Accept() (net.Conn, error) {
	for {
		raw, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if c := l.session.admit(raw); c != nil {
			return c, nil
		}
		_ = raw.Close()
	}
}

// admit makes raw a connection of the session; nil when it is to be closed.
func (s *session) admit(raw net.Conn) *clientConn {
	s.mu.Lock() // over all of it: the end of the session finds the connection whole or not at all
	defer s.mu.Unlock()
	limits := s.proxy.opts.Limits
	if s.closed || s.open >= limits.AtOnce+spare {
		return nil
	}
	c := &clientConn{Conn: raw, session: s, ack: newQuickAck(raw), line: &record{began: time.Now(), outcome: Malformed}}
	s.accepted++
	c.overall, c.quiet = s.accepted > limits.Requests, s.accepted > limits.Requests+1
	c.timer = time.AfterFunc(limits.Time, func() { c.cut(errTime) })
	s.open++
	s.conns[c] = true
	s.wg.Add(1)
	s.proxy.count.open.Add(1)
	return c
}

// clientConn is a connection from inside the sandbox. Its close is the end of
// its record.
type clientConn struct {
	net.Conn
	session *session
	line    *record
	timer   *time.Timer
	ack     quickAck
	once    sync.Once

	overall bool // the run has had its number of them
	quiet   bool // and has been told before: no more lines in the log

	heard   atomic.Bool // something was sent on it
	handled atomic.Bool // somebody ends its record

	mu  sync.Mutex
	why error       // it was cut
	up  *serverConn // cut with it
}

var (
	errTime  = errors.New("the connection was open for longer than a run's connections may be")
	errBytes = errors.New("the run has sent and received as much as it may")
	errEnded = errors.New("the run ended")
)

// Read implements net.Conn.
func (c *clientConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.heard.Store(true)
		c.ack.now()
	}
	return n, err
}

// Write implements net.Conn. What the HTTP server itself answers, to what is no
// request, has no reason in it and may be a 5xx.
func (c *clientConn) Write(b []byte) (int, error) {
	if c.handled.Load() {
		return c.Conn.Write(b)
	}
	if c.line.reason != "" {
		return len(b), nil // the rest of an answer that was replaced
	}
	no := unreadable(b)
	c.line.reason = no.message
	_, err := c.Conn.Write(no.answer())
	return len(b), err
}

// CloseWrite tells the script that no more comes. The HTTP server calls it
// half a second before Close when it has answered what was no request: the
// script may be gone by then.
func (c *clientConn) CloseWrite() error {
	if c.heard.Load() && c.handled.CompareAndSwap(false, true) {
		c.line.settled = true
		c.end()
	}
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// cut closes the connection for a reason; the first one counts.
func (c *clientConn) cut(why error) {
	c.mu.Lock()
	if c.why == nil {
		c.why = why
	}
	up := c.up
	c.mu.Unlock()
	_ = c.Close()
	if up != nil {
		// The HTTP server need not notice the close: it reads one byte ahead.
		_ = up.Close()
	}
}

// connected makes up the connection's other side, unless it was cut meanwhile.
func (c *clientConn) connected(up *serverConn) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.up = up
	return c.why
}

func (c *clientConn) cutBy() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.why
}

// Close implements net.Conn.
func (c *clientConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() {
		c.timer.Stop()
		s := c.session
		s.mu.Lock()
		s.open--
		s.mu.Unlock()
		s.proxy.count.open.Add(-1)
		if c.handled.CompareAndSwap(false, true) && c.heard.Load() {
			c.end() // what came was no request
		}
		s.leave(c)
	})
	return err
}

// end writes the record. Of a run that goes on beyond its number of
// connections the first line says it all.
func (c *clientConn) end() {
	if why := c.cutBy(); why != nil && !c.line.settled {
		c.line.outcome, c.line.reason = Cut, why.Error()
	}
	c.session.end(c.line, c.quiet)
}

// serverConn is a connection to the world. It counts, and ends when the run
// has had its bytes.
type serverConn struct {
	net.Conn
	client *clientConn
	half   atomic.Bool // the client has said its last word
	once   sync.Once
}

// Read implements net.Conn.
func (c *serverConn) Read(b []byte) (int, error) {
	if err := c.left(); err != nil {
		return 0, err
	}
	if c.half.Load() {
		_ = c.SetReadDeadline(time.Now().Add(halfTime))
	}
	n, err := c.Conn.Read(b)
	s := c.client.session
	s.bytes.Add(int64(n))
	s.proxy.count.down.Add(int64(n))
	c.client.line.down.Add(int64(n))
	return n, err
}

// Write implements net.Conn.
func (c *serverConn) Write(b []byte) (int, error) {
	if err := c.left(); err != nil {
		return 0, err
	}
	n, err := c.Conn.Write(b)
	s := c.client.session
	s.bytes.Add(int64(n))
	s.proxy.count.up.Add(int64(n))
	c.client.line.up.Add(int64(n))
	return n, err
}

// left is errBytes when nothing of the run's bytes is left. What is read and
// written at once, 32 KiB, is the most that goes beyond.
func (c *serverConn) left() error {
	s := c.client.session
	if s.bytes.Load() < int64(s.proxy.opts.Limits.Bytes) {
		return nil
	}
	c.client.cut(errBytes)
	return errBytes
}

// CloseWrite tells the other side that no more comes. A client that has closed
// all looks the same as one that waits for an answer, so this is for a while.
func (c *serverConn) CloseWrite() error {
	c.half.Store(true)
	_ = c.SetReadDeadline(time.Now().Add(halfTime))
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// Close implements net.Conn.
func (c *serverConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() {
		<-c.client.session.places
		c.client.session.leave(c)
	})
	return err
}
