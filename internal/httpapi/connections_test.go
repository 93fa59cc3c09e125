package httpapi

import (
	"bufio"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"syscall"
	"testing"
	"time"
)

// TestConnectionsAreBounded: idle ones make room, those with a request do not,
// and whoever asks is answered.
func TestConnectionsAreBounded(t *testing.T) {
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		t.Fatal(err)
	}
	const most = 20
	hold := make(chan struct{})
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/hold" {
			http.NewResponseController(w).Flush()
			<-hold
		}
	}))
	BoundConnections(s.Config, (most+0.5)/float64(files.Cur))
	s.Start()
	defer s.Close()
	defer close(hold)
	ask := func(path string) net.Conn {
		t.Helper()
		c, err := net.Dial("tcp", s.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		if path == "" {
			return c
		}
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		if _, err := c.Write([]byte("GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n")); err != nil {
			return nil
		}
		if _, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil {
			return nil
		}
		return c
	}
	held := ask("/hold")
	var idle []net.Conn
	for range 3 * most {
		if ask("") == nil {
			t.Fatal("a connection")
		}
		if c := ask("/"); c == nil {
			t.Fatal("idle connections keep one that asks from its answer")
		} else {
			idle = append(idle, c)
		}
	}
	if err := read(idle[0]); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the oldest idle connection is still there: %v", err)
	}
	for i := range most - 1 {
		if ask("/hold") == nil {
			t.Fatalf("connection %d with a request is closed", i)
		}
	}
	if ask("/") != nil {
		t.Error("there are more connections than there may be")
	}
	_ = held.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	if err := read(held); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a connection with a request was closed: %v", err)
	}
}

func read(c net.Conn) error {
	_, err := c.Read(make([]byte, 1))
	return err
}
