package badrequests

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// slow are the rows of section C about clients that take their time. They
// wait for the server's deadlines, side by side.
func (s *suite) slow(t *testing.T) {
	t.Run("slow clients", func(t *testing.T) {
		for _, c := range []struct {
			name string
			test func(*testing.T)
		}{
			{"68 body shorter than its length", s.shortBody},
			{"70 slow headers", func(t *testing.T) {
				s.drip(t, "POST /execute HTTP/1.1\r\nX-A: ", 7*time.Second)
			}},
			{"71 slow bodies", func(t *testing.T) {
				s.drip(t, "POST /execute HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 999\r\n\r\n", 13*time.Second)
			}},
			{"72 slow readers", s.slowReaders},
			{"73 idle connections", s.idle},
		} {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				c.test(t)
				s.well(t)
			})
		}
	})
}

func (s *suite) shortBody(t *testing.T) {
	start := time.Now()
	a := s.send(t, strings.Replace(echo("1"), "Content-Length: ", "Content-Length: 1", 1))
	a.want(t, "invalid_request", 400, closed)
	if took := time.Since(start); took > 12*time.Second {
		t.Errorf("closed after %v", took)
	}
}

// drip opens many connections that send raw and then a byte a second; each
// must be closed in time, and others be served meanwhile.
func (s *suite) drip(t *testing.T, raw string, within time.Duration) {
	var wg sync.WaitGroup
	for range 500 {
		conn := s.dial(t)
		wg.Go(func() {
			defer conn.Close()
			start := time.Now()
			go func() {
				_, err := io.WriteString(conn, raw)
				for err == nil {
					time.Sleep(time.Second)
					_, err = io.WriteString(conn, "x")
				}
			}()
			_, _ = io.Copy(io.Discard, conn)
			if took := time.Since(start); took > within {
				t.Errorf("closed after %v, want %v at most", took, within)
			}
		})
	}
	time.Sleep(2 * time.Second)
	s.well(t)
	wg.Wait()
}

// slowReaders ask for large answers and do not take them.
func (s *suite) slowReaders(t *testing.T) {
	if s.opts.WriteTimeout == 0 || s.opts.WriteTimeout > 5*time.Second {
		t.Skip("the server's write timeout is too long to wait for")
	}
	var conns []*net.TCPConn
	for range 8 {
		conn := s.dial(t).(*net.TCPConn)
		defer conn.Close()
		_ = conn.SetReadBuffer(32 << 10)
		conns = append(conns, conn)
		if _, err := io.WriteString(conn, post(script(ScriptLarge, fmt.Sprint(8_000_000)))); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range conns { // the answers have begun
		if _, err := c.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(s.opts.WriteTimeout + 3*time.Second)
	for _, c := range conns {
		_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
		n, err := io.Copy(io.Discard, c)
		if n >= 8_000_000 || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("not closed at the write timeout: %d bytes came, then %v", n, err)
		}
	}
}

func (s *suite) idle(t *testing.T) {
	n := 2000
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err == nil {
		n = min(n, int(files.Cur)/8)
	}
	for range n {
		conn := s.dial(t)
		defer conn.Close()
	}
	s.well(t)
}
