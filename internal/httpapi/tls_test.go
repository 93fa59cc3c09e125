package httpapi_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/python-code-executor/pyexec"
	"github.com/python-code-executor/pyexec/internal/httpapi"
)

func selfSigned(t *testing.T) *tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// serveTLS starts a server on a free port and returns its address.
func serveTLS(t *testing.T, opts httpapi.Options) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := httpapi.NewServer(httpapi.New(opts), slog.New(slog.DiscardHandler))
	certificate := selfSigned(t)
	httpapi.UseTLS(srv, func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return certificate, nil })
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.ServeTLS(ln, "", "")
	}()
	t.Cleanup(func() {
		_ = srv.Close()
		<-done
	})
	return ln.Addr().String()
}

func client2(t *testing.T) *http.Client {
	tr := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 20 * time.Second}
}

func TestHTTP2(t *testing.T) {
	addr := serveTLS(t, httpapi.Options{Executor: &fake{}})
	client := client2(t)
	var conns atomic.Int32
	client.Transport.(*http.Transport).DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conns.Add(1)
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
	for _, tt := range []struct {
		body   string
		status int
	}{
		{plain, 200},
		{`{"script":"def main(): return 1","stdin":"` + strings.Repeat("x", 3<<20) + `"}`, 413}, // an answer before the end of the body
		{plain, 200},
	} {
		res, err := client.Post("https://"+addr+"/execute", "application/json", strings.NewReader(tt.body))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		if res.ProtoMajor != 2 || res.StatusCode != tt.status {
			t.Errorf("%s %d, want %d", res.Proto, res.StatusCode, tt.status)
		}
	}
	if n := conns.Load(); n != 1 {
		t.Errorf("%d connections: an answer before the end of the body ends a stream, not its connection", n)
	}
	old := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS11}, DisableKeepAlives: true}}
	if res, err := old.Get("https://" + addr + "/livez"); err == nil {
		_ = res.Body.Close()
		t.Error("TLS 1.1 is spoken")
	}
}

// frames opens a connection of HTTP/2 on which the test writes frames itself.
func frames(t *testing.T, addr string) (*tls.Conn, *http2.Framer) {
	t.Helper()
	conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	f := http2.NewFramer(conn, conn)
	if err := f.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	return conn, f
}

func header(path string) []byte {
	var b bytes.Buffer
	enc := hpack.NewEncoder(&b)
	for _, f := range [][2]string{
		{":method", "POST"}, {":scheme", "https"}, {":authority", "localhost"}, {":path", path}, {"content-type", "application/json"},
	} {
		_ = enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1], Sensitive: true}) // never indexed: the same bytes each time
	}
	return b.Bytes()
}

// resets opens and resets up to n streams, each with a whole request, and
// tells how many the server bore before it ended the connection. After each
// one it waits for whatever pause waits for.
func resets(t *testing.T, addr string, n int, pause func()) int {
	t.Helper()
	conn, f := frames(t, addr)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			fr, err := f.ReadFrame()
			if err != nil {
				return
			}
			if s, ok := fr.(*http2.SettingsFrame); ok && !s.IsAck() {
				continue // an acknowledgement would race with the writer
			}
			if g, ok := fr.(*http2.GoAwayFrame); ok && g.ErrCode != http2.ErrCodeNo {
				return
			}
		}
	}()
	defer func() {
		_ = conn.Close()
		<-ended
	}()
	block := header("/execute")
	for i := range n {
		id := uint32(2*i + 1)
		err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block, EndHeaders: true})
		if err == nil {
			err = f.WriteData(id, true, []byte(plain))
		}
		if err == nil {
			pause()
			err = f.WriteRSTStream(id, http2.ErrCodeCancel)
		}
		select {
		case <-ended:
			return i
		default:
		}
		if err != nil {
			return i
		}
	}
	return n
}

// TestRapidReset: neither of the two attacks goes on for long, at no time run
// more handlers than a connection may have, and others are served.
func TestRapidReset(t *testing.T) {
	var running, most atomic.Int32
	entered := make(chan struct{}, 100_000)
	f := &fake{set: func(ctx context.Context, _ pyexec.Request) (pyexec.Result, error) {
		n := running.Add(1)
		defer running.Add(-1)
		for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
		}
		entered <- struct{}{}
		<-ctx.Done()
		return pyexec.Result{}, &pyexec.Error{Code: pyexec.CodeCanceled, Err: ctx.Err()}
	}}
	addr := serveTLS(t, httpapi.Options{Executor: f})
	const many = 20_000
	if n := resets(t, addr, many, func() {}); n == many {
		t.Errorf("%d streams were reset at once on one connection", n)
	}
	if n := most.Load(); n > 100 {
		t.Errorf("%d runs at once for one connection", n)
	}
	// Slowly: each is reset when its run has begun.
	for len(entered) > 0 {
		<-entered
	}
	if n := resets(t, addr, many, func() {
		select {
		case <-entered:
		case <-time.After(time.Second): // the connection has ended
		}
	}); n > 500 {
		t.Errorf("%d runs were begun and thrown away on one connection", n)
	}
	res, err := client2(t).Get("https://" + addr + "/livez")
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("afterwards: %v, %v", res, err)
	}
	_ = res.Body.Close()
	for deadline := time.Now().Add(10 * time.Second); running.Load() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d runs are left", running.Load())
		}
	}
}
