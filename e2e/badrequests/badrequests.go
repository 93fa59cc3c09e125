// Package badrequests sends a server the malformed and hostile requests of
// ../shared/cases/bad-requests.md, as raw bytes, and checks the answer and
// that the server is as well afterwards. Subtests have the number of their
// row first.
//
// Rows 58 and 101 to 103 are of features that do not exist yet; 106 and 112
// belong to the nightly target, 107 to 109 to the tests of the whole server.
package badrequests

import (
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"
)

// Options say what the server under test is.
type Options struct {
	Script, Body int // its limits in bytes; 0: those of the contract
	Places       int // runs at once and queue together; 0: not known
	// Python is set when scripts really run. Without it the server is one
	// that knows the scripts of this package: see their constants.
	Python bool
	// Running counts the runs that go on; nil skips what it would show.
	Running func() int
	// WriteTimeout of answers; the slow reader's row is skipped beyond 5 s.
	WriteTimeout time.Duration
	// Proxied is set where gVisor's network stack and Docker's proxy carry the
	// connections: an answer given while the client still sends a lot may be
	// lost to the reset that follows it.
	Proxied bool
}

// The scripts that rows use where their behaviour matters.
const (
	ScriptEcho  = "def main(x):\n    return x"
	ScriptStdin = "import sys\ndef main():\n    print(sys.stdin.read(), end='')\n    return 1"
	ScriptLarge = "def main(n):\n    return 'x' * n"
	ScriptSleep = "import time\ndef main(s):\n    time.sleep(s)\n    return s"
)

// row is one request of the table.
type row struct {
	name   string
	raw    string
	status []int  // any of them; closed is a connection without an answer
	kind   string // error.type, "" for any
	within time.Duration
	real   bool // needs real Python
	rest   bool // looks at what follows the answer
	check  func(t *testing.T, a answer)
}

const closed = 0

type suite struct {
	addr string
	opts Options
	turn atomic.Int64
}

// Run sends everything to the server at addr (host:port).
func Run(t *testing.T, addr string, opts Options) {
	if opts.Script == 0 {
		opts.Script = 1 << 20
	}
	if opts.Body == 0 {
		opts.Body = 2 << 20
	}
	s := &suite{addr: addr, opts: opts}
	for _, r := range slices.Concat(s.jsonRows(), s.headerRows(), s.framingRows(), s.pathRows()) {
		t.Run(r.name, func(t *testing.T) { s.run(t, r) })
	}
	s.crowds(t)
	s.slow(t)
}

func (s *suite) run(t *testing.T, r row) {
	if r.real && !s.opts.Python {
		t.Skip("needs real Python")
	}
	start := time.Now()
	a := s.exchange(t, r.raw, r.rest)
	if took := time.Since(start); took > max(r.within, 5*time.Second) {
		t.Errorf("answered after %v", took)
	}
	if s.opts.Proxied && len(r.raw) > 512<<10 {
		r.status = append(slices.Clone(r.status), closed)
	}
	a.want(t, r.kind, r.status...)
	if r.check != nil && a.status != closed {
		r.check(t, a)
	}
	s.well(t)
}

// well checks that the server is: its health, and a plain run on a new
// connection.
func (s *suite) well(t *testing.T) {
	t.Helper()
	start := time.Now()
	a := s.send(t, "GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	if took := time.Since(start); a.status != 200 || took > 2*time.Second {
		t.Errorf("afterwards /health answers %d after %v: %s", a.status, took, a.body)
	}
	nonce := fmt.Sprintf(`"plain %d"`, s.turn.Add(1))
	a = s.send(t, echo(nonce))
	if want := `{"result":` + nonce + `,"stdout":""}`; a.status != 200 || a.body != want {
		t.Errorf("afterwards a plain request gets %d %s, want 200 %s", a.status, a.body, want)
	}
}
