package badrequests

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// crowds are the rows of section C about many requests, and about clients
// that leave. They use the server's places and so run one after another.
func (s *suite) crowds(t *testing.T) {
	for _, c := range []struct {
		name string
		test func(*testing.T)
	}{
		{"74 200 at once", s.manyAtOnce},
		{"77 pipelined", s.pipelined},
		{"79 reset in a run", func(t *testing.T) { s.leaves(t, (*net.TCPConn).Close, true) }},
		{"80 half-closed in a run", func(t *testing.T) { s.leaves(t, (*net.TCPConn).CloseWrite, false) }},
		{"81 leaves the queue", s.leavesQueue},
		{"82 disconnects at every byte", s.everyByte},
		{"83 keep-alive", s.keepAlive},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.test(t)
			s.well(t)
		})
	}
}

func (s *suite) manyAtOnce(t *testing.T) {
	const n = 200
	answers := make([]answer, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { answers[i] = s.send(t, post(script(ScriptSleep, "0.2"))) })
	}
	wg.Wait()
	busy := 0
	for _, a := range answers {
		if a.status == 200 {
			continue
		}
		busy++
		a.want(t, "overloaded", 503)
		if a.header.Get("Retry-After") == "" {
			t.Error("503 without Retry-After")
		}
	}
	if s.opts.Places > 0 && s.opts.Places < n/2 && busy == 0 {
		t.Errorf("none of %d was refused by a server of %d places", n, s.opts.Places)
	}
}

func (s *suite) pipelined(t *testing.T) {
	conn := s.dial(t)
	defer conn.Close()
	if _, err := io.WriteString(conn, echo("1")+echo("2")+echo("3")); err != nil {
		t.Fatal(err)
	}
	br := bufio.NewReader(conn)
	for i := range 3 {
		a := readOne(t, br, false)
		a.want(t, "", 200)
		contains(fmt.Sprintf(`"result":%d,`, i+1))(t, a)
	}
}

// leaves starts a long run, ends the connection and sees the run end. What a
// client that has only half closed gets is not said: nothing, or a timeout.
func (s *suite) leaves(t *testing.T, end func(*net.TCPConn) error, reset bool) {
	conn := s.startRun(t)
	if reset {
		_ = conn.SetLinger(0)
	}
	if err := end(conn); err != nil {
		t.Fatal(err)
	}
	s.eventually(t, 0, time.Second)
	_ = conn.Close()
}

// startRun sends a run of 8 s and returns once it goes on.
func (s *suite) startRun(t *testing.T) *net.TCPConn {
	before := 0
	if s.opts.Running != nil {
		before = s.opts.Running()
	}
	conn := s.dial(t).(*net.TCPConn)
	if _, err := io.WriteString(conn, post(script(ScriptSleep, "8"))); err != nil {
		t.Fatal(err)
	}
	s.eventually(t, before+1, 5*time.Second)
	return conn
}

// eventually waits until want runs go on.
func (s *suite) eventually(t *testing.T, want int, within time.Duration) {
	t.Helper()
	if s.opts.Running == nil {
		time.Sleep(200 * time.Millisecond)
		return
	}
	for end := time.Now().Add(within); s.opts.Running() != want; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d runs go on after %v, want %d", s.opts.Running(), within, want)
		}
	}
}

// leavesQueue fills the server, leaves with everybody and sees it empty: were
// one of those in line to run, it would go on for 8 s.
func (s *suite) leavesQueue(t *testing.T) {
	if s.opts.Running == nil || s.opts.Places == 0 {
		t.Skip("needs to see what runs")
	}
	var conns []net.Conn
	for range s.opts.Places {
		conn := s.dial(t)
		conns = append(conns, conn)
		if _, err := io.WriteString(conn, post(script(ScriptSleep, "8"))); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(300 * time.Millisecond)
	for _, c := range conns {
		_ = c.Close()
	}
	s.eventually(t, 0, 3*time.Second)
	time.Sleep(100 * time.Millisecond)
	s.eventually(t, 0, time.Second)
}

func (s *suite) everyByte(t *testing.T) {
	raw := echo("1")
	for range 3 {
		for n := range len(raw) {
			conn := s.dial(t)
			if _, err := io.WriteString(conn, raw[:n]); err != nil {
				t.Fatal(err)
			}
			_ = conn.Close()
		}
	}
	s.eventually(t, 0, 3*time.Second)
}

func (s *suite) keepAlive(t *testing.T) {
	conn := s.dial(t)
	defer conn.Close()
	br := bufio.NewReader(conn)
	for i := range 300 {
		if _, err := io.WriteString(conn, echo(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
		if a := readOne(t, br, false); a.status != 200 || !strings.Contains(a.body, fmt.Sprintf(`"result":%d,`, i)) {
			t.Fatalf("request %d: %d %s", i, a.status, a.body)
		}
	}
}
