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
	c.tooMany = s.open >= limits.AtOnce
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

	tooMany bool // there were AtOnce others when it came
	overall bool // the run has had its number of them
	quiet   bool // and has been told before: no more lines in the log

	heard   atomic.Bool // something was sent on it
	handled atomic.Bool // somebody ends its record

	mu  sync.Mutex
	why error // it was cut
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
	c.mu.Unlock()
	_ = c.Close()
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
	once   sync.Once
}

// Read implements net.Conn.
func (c *serverConn) Read(b []byte) (int, error) {
	if err := c.left(); err != nil {
		return 0, err
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

// CloseWrite tells the other side that no more comes.
func (c *serverConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// Close implements net.Conn.
func (c *serverConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() { c.client.session.leave(c) })
	return err
}
