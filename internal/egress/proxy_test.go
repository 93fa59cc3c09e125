package egress

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	pyexec "github.com/python-code-executor/pyexec"
)

func TestForbiddenAddresses(t *testing.T) {
	for _, text := range []string{
		"0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.255.255.254", "169.254.0.1", "169.254.169.254",
		"172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.0.1", "198.18.0.1", "198.19.255.255", "198.51.100.1",
		"203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "168.63.129.16",
		"::", "::1", "::ffff:8.8.8.8", "::ffff:127.0.0.1", "::8.8.8.8", "64:ff9b::808:808", "64:ff9b:1::1", "100::1", "2001::1", "2001:2::1", "2001:10::1", "2001:db8::1",
		"2002:808:808::1", "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fd20:ce::254", "fe80::1", "fe80::1%lo", "fec0::1", "ff02::1", "2606:4700::5efe:a00:1", "2606:4700::200:5efe:a00:1",
	} {
		if whyForbidden(netip.MustParseAddr(text)) == "" {
			t.Errorf("%s is allowed", text)
		}
	}
	if whyForbidden(netip.Addr{}) == "" {
		t.Error("no address is allowed")
	}
	for _, text := range []string{
		"1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.1", "169.253.255.255", "172.15.255.255", "172.32.0.0",
		"192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0", "223.255.255.255", "168.63.129.15", "2606:4700::1111", "2001:200::1", "2001:4860:4860::8888", "2a00:1450::1", "2003::1",
	} {
		if why := whyForbidden(netip.MustParseAddr(text)); why != "" {
			t.Errorf("%s is %s", text, why)
		}
	}
}

func TestLocalNames(t *testing.T) {
	for _, name := range []string{"localhost", "redis", "x.localhost", "db.internal", "printer.local", "metadata.google.internal", "a.home.arpa", "svc.cluster.local", "x.svc"} {
		if whyLocal(name) == "" {
			t.Errorf("%s is public", name)
		}
	}
	for _, name := range []string{"example.com", "internal.example.com", "local.example.com", "localhost.example.com", "93.184.216.34", "2606:4700::1111"} {
		if why := whyLocal(name); why != "" {
			t.Errorf("%s is %s", name, why)
		}
	}
}

var testLimits = Limits{AtOnce: 8, Requests: 100, Bytes: pyexec.MiB, Time: 5 * time.Second}

// serve starts a session on a loopback listener.
func serve(t testing.TB, allow string) (proxy *Proxy, addr string) {
	t.Helper()
	rules, err := pyexec.ParseAllow(allow)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := New(Options{Limits: testLimits, Log: slog.New(slog.DiscardHandler)})
	// No question leaves the test: every name is unknown.
	p.resolver = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) { return nil, io.EOF }}
	t.Cleanup(p.Serve(listener, pyexec.Request{ID: "test", Allow: rules}))
	return p, listener.Addr().String()
}

// send is the proxy's whole answer to some bytes.
func send(t testing.TB, addr string, data []byte) []byte {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	_, _ = c.Write(data)
	_ = c.(*net.TCPConn).CloseWrite()
	got, _ := io.ReadAll(c)
	return got
}

// FuzzRequest: whatever comes, the answer is none or one HTTP answer with an
// error, the connection is closed, and nobody is reached.
func FuzzRequest(f *testing.F) {
	for _, s := range []string{
		"GET http://127.0.0.1/ HTTP/1.1\r\nHost: x\r\n\r\n", "CONNECT 127.0.0.1:80 HTTP/1.1\r\n\r\n", "CONNECT [::1]:80 HTTP/1.0\r\n\r\n", "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"POST http://a.example.com/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n", "CONNECT a.example.com:443/x HTTP/1.1\r\n\r\n", "\x16\x03\x01\x00\x01", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"GET http://u:p@a.example.com:99999/ HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", "GET http://0x7f.1/ HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		p, addr := serve(t, "public")
		got := send(t, addr, data)
		s := p.Stats()
		if s.Connections[OK] != 0 || s.BytesUp != 0 || s.BytesDown != 0 {
			t.Errorf("%q reached somebody: %+v", data, s)
		}
		if len(got) == 0 {
			return
		}
		r := bufio.NewReader(bytes.NewReader(got))
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatalf("%q is answered by %q: %v", data, got, err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if resp.StatusCode < 400 || !resp.Close || r.Buffered() > 0 {
			t.Errorf("%q is answered by %q", data, got)
		}
	})
}

// TestStopLeavesNothing: idle, half sent and refused connections all end with
// the session.
func TestStopLeavesNothing(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := New(Options{Limits: testLimits, Log: slog.New(slog.DiscardHandler)})
	stop := p.Serve(listener, pyexec.Request{})
	var open []net.Conn
	for _, text := range []string{"", "GET http://exam", "GET http://127.0.0.1/ HTTP/1.1\r\nHost: x\r\n\r\n"} {
		c, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(c, text); err != nil {
			t.Fatal(err)
		}
		open = append(open, c)
	}
	if first, err := bufio.NewReader(open[2]).ReadString('\n'); err != nil || !strings.HasPrefix(first, "HTTP/1.1 403 ") {
		t.Errorf("%q, %v", first, err)
	}
	stop()
	for _, c := range open {
		_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, err := io.Copy(io.Discard, c); err != nil && !strings.Contains(err.Error(), "reset") {
			t.Errorf("open after the end: %v", err)
		}
		c.Close()
	}
	if n := p.Stats().Open; n != 0 {
		t.Errorf("%d connections are counted as open", n)
	}
	if _, err := net.Dial("tcp", listener.Addr().String()); err == nil {
		t.Error("the listener is still there")
	}
}
