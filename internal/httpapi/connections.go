package httpapi

import (
	"container/list"
	"net"
	"net/http"
	"sync"
	"syscall"
)

// BoundConnections lets s keep no more than part of the descriptors that this
// process may have, so that runs and /health find some. Who comes beyond takes
// the place of the connection that has waited longest without a request; where
// all have one, it is closed.
func BoundConnections(s *http.Server, part float64) {
	var files syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files) != nil {
		return
	}
	c := &connections{most: max(16, int(min(float64(files.Cur), 1e6)*part)), open: map[net.Conn]*list.Element{}}
	s.ConnState = c.changed
}

type connections struct {
	most int

	mu      sync.Mutex
	open    map[net.Conn]*list.Element // nil while it has a request
	waiting list.List                  // of net.Conn, those without a request; longest first
}

func (c *connections) changed(conn net.Conn, state http.ConnState) {
	if beyond := c.note(conn, state); beyond != nil {
		// Not by TLS, which would wait until it has said goodbye.
		if over, ok := beyond.(interface{ NetConn() net.Conn }); ok {
			beyond = over.NetConn()
		}
		_ = beyond.Close()
	}
}

// note keeps count, and returns the connection that is to be closed, if any.
func (c *connections) note(conn net.Conn, state http.ConnState) net.Conn {
	c.mu.Lock()
	defer c.mu.Unlock()
	if at := c.open[conn]; at != nil {
		c.waiting.Remove(at)
	}
	switch state {
	case http.StateClosed, http.StateHijacked:
		delete(c.open, conn)
		return nil
	case http.StateActive:
		c.open[conn] = nil
		return nil
	}
	var beyond net.Conn
	if state == http.StateNew && len(c.open) >= c.most {
		beyond = conn
		if oldest := c.waiting.Front(); oldest != nil {
			beyond = c.waiting.Remove(oldest).(net.Conn)
			delete(c.open, beyond)
		}
	}
	if beyond != conn {
		c.open[conn] = c.waiting.PushBack(conn)
	}
	return beyond
}
