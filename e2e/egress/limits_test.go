package egress

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/python-code-executor/pyexec/e2e/e2etest"
)

func TestLimits(t *testing.T) {
	w := inWorld(t)
	s, out := start(t, "--egress=www.example.com", "--egress-bytes=1MB", "--egress-connections=4", "--egress-requests=20", "--egress-time=1s")
	for _, c := range []struct{ name, try, want string }{
		{"an endless body ends at the run's bytes", `len(raw("GET http://www.example.com/endless HTTP/1.1\r\nHost: x\r\n\r\n") and SAID.pop()) // 100_000 in (9, 10, 11)`, "true"},
		{"an endless tunnel ends at the run's bytes", `(connect("www.example.com:80", b"GET /endless HTTP/1.1\r\nHost: www.example.com\r\n\r\n"), len(SAID.pop()) // 100_000 in (9, 10, 11))`, "[200,true]"},
		{"then nothing is begun", `(raw("GET http://www.example.com/endless HTTP/1.1\r\nHost: x\r\n\r\n"), SAID.clear(), plain("http://www.example.com/"), connect("www.example.com:443"))[2:]`, "[429,429]"},
		{"a slow body ends in its time", `(plain("http://www.example.com/slow"), len(SAID[0]) < 2000)`, "[200,true]"},
		{"a request that never ends", `raw("GET http://www.example.com/ HTTP/1.1\r\nX: ")`, "0"},
		{"what sends nothing takes no place", `[raw("GET http://www.example.com/ HTTP/1.1\r\nHost: x\r\n\r\n") for held in [[socket.create_connection(PROXY) for _ in range(4)]]]`, "[200]"},
		{"as many in sum", `[plain("http://www.example.com/") for _ in range(22)][-3:]`, "[200,429,429]"},
	} {
		a := execute(t, s, fmt.Sprintf(tools, c.try), nil)
		if !strings.HasPrefix(a.Text, `{"result":[`+c.want+`,`) {
			t.Errorf("%s: %.300s", c.name, a.Text)
		}
	}
	for _, want := range []string{"has sent and received as much as it may", "open for longer", "has made its 20 connections"} {
		if len(out.await(1, want)) == 0 {
			t.Errorf("no line of the log says: %s", want)
		}
	}
	// The handlers of the site end with the connections that were cut.
	w.endless.Wait()
}

// TestPlaces: a run that stays within its number of connections is never told
// that it has too many, and one that does not is.
func TestPlaces(t *testing.T) {
	w := inWorld(t)
	const hold = `(lambda s: (s.sendall(b"GET http://www.example.com/slow HTTP/1.1\r\nHost: x\r\n\r\n"), s.recv(9), s)[2])(socket.create_connection(PROXY))`
	for _, c := range []struct{ name, limits, try, want string }{
		{"one after the other", "--egress-connections=1 --egress-requests=300", `set([plain("http://www.example.com/") for _ in range(100)] + [get("http://www.example.com/") for _ in range(100)])`, "[200]"},
		{"tunnels that the other side keeps", "--egress-connections=2", `[(lambda s: (s.sendall(b"CONNECT www.example.com:80 HTTP/1.1\r\n\r\n"), s.recv(99), s.sendall(b"GET /linger HTTP/1.1\r\nHost: x\r\n\r\n"), s.close()))(socket.create_connection(PROXY)) for _ in range(2)] and plain("http://www.example.com/")`, "200"},
		{"too many", "--egress-connections=2", `[raw("GET http://www.example.com/ HTTP/1.1\r\nHost: x\r\n\r\n", 9) for held in [[` + hold + ` for _ in range(2)]]]`, "[429]"},
		{"a byte more does not keep one", "--egress-connections=1 --egress-time=1s", `[(time.sleep(.3), held.sendall(b"X"), plain("http://www.example.com/"))[2] for held in [` + hold + `]]`, "[200]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, _ := start(t, append(strings.Fields(c.limits), "--egress=www.example.com")...)
			a := execute(t, s, fmt.Sprintf(tools, strings.Replace(c.try, "set(", "list(set(", 1)+strings.Repeat(")", strings.Count(c.try, "set("))), nil)
			if !strings.HasPrefix(a.Text, `{"result":[`+c.want+`,`) {
				t.Errorf("%.300s", a.Text)
			}
		})
	}
	s, out := start(t, "--egress=www.example.com", "--egress-time=1s")
	execute(t, s, fmt.Sprintf(tools, `raw("GET http://www.example.com/upgrade HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")`), nil)
	if lines := out.await(1, `"msg":"egress"`); len(lines) != 1 || !strings.Contains(lines[0], `"outcome":"cut"`) {
		t.Errorf("an upgraded connection that its time ended: %s", lines)
	}
	w.endless.Wait()
}

// TestTheEndOfARun cuts what it had open.
func TestTheEndOfARun(t *testing.T) {
	w := inWorld(t)
	s, out := start(t, "--egress=www.example.com", "--timeout=1s")
	for _, hold := range []string{`plain("http://www.example.com/slow")`, `connect("www.example.com:80", b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")`} {
		a := execute(t, s, fmt.Sprintf(tools, hold), nil)
		if a.Error.Type != "timeout" {
			t.Errorf("%s", a.Text)
		}
		a = execute(t, s, "import socket\ndef main():\n    s = [socket.create_connection(('127.0.0.1', 3128)) for _ in range(20)]\n    for c in s: c.send(b'GET http://www.example.com/slow HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n')\n    return s[0].recv(12).decode()", nil)
		if a.Result != "HTTP/1.1 200" {
			t.Errorf("%s", a.Text)
		}
	}
	w.endless.Wait()
	if len(out.await(20, `"outcome":"cut"`)) < 20 {
		t.Errorf("lines of connections that were cut: %v", out.lines(`"msg":"egress"`))
	}
}

// TestRunsDoNotMeet: the proxy of one run cannot be used by another, and
// nothing of a run is left in the network of the next.
func TestRunsDoNotMeet(t *testing.T) {
	inWorld(t)
	s, _ := start(t, "--egress=www.example.com", "--ready=1", "--concurrency=1")
	left := `
import os, socket
def main():
    held = [socket.create_connection(("127.0.0.1", 3128)) for _ in range(5)]
    net = os.readlink("/proc/self/ns/net")
    with open("/proc/self/net/tcp") as f:
        return [net, len(f.readlines()) - 1]
`
	seen := map[any]bool{}
	for range 5 {
		a := execute(t, s, left, nil)
		got, _ := a.Result.([]any)
		if len(got) != 2 || got[1].(float64) > 11 { // the listener, five connections, twice
			t.Fatalf("connections of others: %s", a.Text)
		}
		seen[got[0]] = true
	}
	if len(seen) < 2 {
		t.Errorf("one network namespace for all runs: %v", seen)
	}
	// A run that narrows its rules to nothing has no proxy at all.
	a := execute(t, s, "import socket\ndef main():\n    return socket.create_connection(('127.0.0.1', 3128))", map[string]any{"network": map[string]any{"allow": []string{}}})
	if a.Error.Exception != "ConnectionError" {
		t.Errorf("%s", a.Text)
	}
}

// TestStartIsRefused for rules that are malformed, that lead nowhere, or where
// the level gives no network namespace.
func TestStartIsRefused(t *testing.T) {
	e2etest.RequireServer(t)
	binary, err := e2etest.Binary()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		want []string
	}{
		{[]string{"--egress=http://api.example.com/,*,a..b,api.example.com:0,ok.example.com,2130706433"}, []string{`"http://api.example.com/" is a URL`, `write public`, `"a..b"`, `between 1 and 65535`, `four decimal numbers`}},
		{[]string{"--egress=10.0.0.1"}, []string{"10.0.0.1", "private", "no run may reach"}},
		{[]string{"--egress=[::1]:80"}, []string{"no run may reach"}},
		{[]string{"--egress=169.254.169.254"}, []string{"link-local"}},
		{[]string{"--egress=metadata.google.internal"}, []string{"a metadata server"}},
		{[]string{"--egress=api.example.com,"}, []string{"is empty"}},
		{[]string{"--egress=public", "--unsafe-force-level=landlock"}, []string{"--egress needs a network namespace"}},
		{[]string{"--egress=public", "--unsafe-force-level=seccomp", "--require-isolation=seccomp"}, []string{"--egress needs a network namespace"}},
		{[]string{"--egress-bytes=0", "--egress-time=1ms"}, []string{"egress-bytes", "egress-time"}},
	} {
		cmd := exec.Command(binary, append([]string{"serve", "--addr=127.0.0.1:0"}, c.args...)...)
		cmd.Env = append(os.Environ(), e2etest.Installed()...)
		text, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 78 {
			t.Errorf("%v: %v; want exit status 78", c.args, err)
		}
		for _, want := range c.want {
			if !bytes.Contains(text, []byte(want)) {
				t.Errorf("%v: nothing says %q: %s", c.args, want, text)
			}
		}
	}
}
