package egress

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/python-code-executor/pyexec/e2e/e2etest/netns"
)

// The world: one web server on all addresses of the test's network. At Site
// it is what runs may reach; anywhere else it is something they must not, and
// what comes there is a breach.
const (
	site   = "93.184.216.34"
	second = "151.101.1.69" // another public one
	secret = "SECRET-OF-THE-METADATA-SERVER"
)

type world struct {
	ca []byte // PEM

	mu       sync.Mutex
	breaches []string
	seen     []seen
	asked    map[string]int // questions by name
	endless  sync.WaitGroup // handlers that write until they are stopped
}

// seen is a request that came to the site.
type seen struct {
	Host, Target, Method, Body string
	Header                     http.Header
}

// answers of the resolver: each question takes the next one, the last stays.
var zone = map[string][][]string{
	"www.example.com.":                  {{site}},
	"api.example.com.":                  {{site}},
	"other.example.net.":                {{second}},
	"deep.api.example.com.":             {{site}},
	"mixed.example.com.":                {{"169.254.169.254", site, "10.11.12.13"}},
	"loopback.example.com.":             {{"127.0.0.1"}},
	"metadata.example.com.":             {{"169.254.169.254"}},
	"private.example.com.":              {{"10.11.12.13"}},
	"private172.example.com.":           {{"172.16.5.5"}},
	"private192.example.com.":           {{"192.168.7.7"}},
	"cgnat.example.com.":                {{"100.64.9.9"}},
	"bench.example.com.":                {{"198.18.3.3"}},
	"docs.example.com.":                 {{"203.0.113.5"}},
	"azure.example.com.":                {{"168.63.129.16"}},
	"zero.example.com.":                 {{"0.0.0.0"}},
	"own.example.com.":                  {{"93.184.216.1"}},
	"broadcast.example.com.":            {{"255.255.255.255"}},
	"multicast.example.com.":            {{"224.0.0.1"}},
	"six-loopback.example.com.":         {{"::1"}},
	"six-mapped.example.com.":           {{"::ffff:127.0.0.1"}},
	"six-ula.example.com.":              {{"fd00:ec2::254"}},
	"six-nat64.example.com.":            {{"64:ff9b::a9fe:a9fe"}},
	"six-6to4.example.com.":             {{"2002:a9fe:a9fe::1"}},
	"six-own.example.com.":              {{"2606:4700::1111"}},
	"flip.example.com.":                 {{site}, {"127.0.0.1"}, {site}, {"169.254.169.254"}},
	"metadata.google.internal.":         {{site}}, // a resolver that lies
	"printer.local.":                    {{site}},
	"db.internal.":                      {{site}},
	"localhost.":                        {{site}},
	"www.example.com.evil.example.net.": {{second}},
	"examplexcom.":                      {{second}},
	"evilexample.com.":                  {{second}},
}

// newWorld listens; stop ends it.
func newWorld() (*world, func(), error) {
	w := &world{asked: map[string]int{}}
	config, err := w.certificates()
	if err != nil {
		return nil, nil, err
	}
	udp, err := net.ListenPacket("udp", netns.Nameserver)
	if err != nil {
		return nil, nil, err
	}
	closers := []io.Closer{udp}
	go w.resolve(udp)
	server := &http.Server{Handler: w, ReadHeaderTimeout: time.Minute, TLSConfig: config, ErrorLog: log.New(io.Discard, "", 0)}
	closers = append(closers, server)
	for _, port := range []string{"80", "443", "8080", "22", "25", "6379"} {
		l, err := net.Listen("tcp", net.JoinHostPort("", port))
		if err != nil {
			return nil, nil, err
		}
		if port == "443" {
			l = tls.NewListener(&watched{l, w}, config)
		} else {
			l = &watched{l, w}
		}
		go func() { _ = server.Serve(l) }()
	}
	sink, err := net.ListenPacket("udp", ":5353")
	if err != nil {
		return nil, nil, err
	}
	closers = append(closers, sink)
	go func() {
		for b := make([]byte, 1500); ; {
			if _, from, err := sink.ReadFrom(b); err != nil {
				return
			} else {
				w.breach("UDP from " + from.String())
			}
		}
	}()
	return w, func() {
		for _, c := range closers {
			_ = c.Close()
		}
		w.endless.Wait()
	}, nil
}

// watched notes connections to addresses where nobody must come.
type watched struct {
	net.Listener
	world *world
}

func (l *watched) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	at := netip.MustParseAddrPort(c.LocalAddr().String())
	if host := at.Addr().Unmap().String(); host != site && host != second {
		l.world.breach(fmt.Sprintf("%s came to %s", c.RemoteAddr(), c.LocalAddr()))
	}
	return c, nil
}

func (w *world) breach(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.breaches = append(w.breaches, what)
}

// reached is what came where nothing may, and forgets it.
func (w *world) reached() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	b := w.breaches
	w.breaches = nil
	return b
}

// requests is what came to the sites, and forgets it.
func (w *world) requests() []seen {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.seen
	w.seen = nil
	return s
}

func (w *world) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	at, _, _ := net.SplitHostPort(local.String())
	if at != site && at != second {
		fmt.Fprintln(rw, secret)
		return
	}
	body, _ := io.ReadAll(r.Body)
	w.mu.Lock()
	w.seen = append(w.seen, seen{r.Host, r.RequestURI, r.Method, string(body), r.Header.Clone()})
	w.mu.Unlock()
	switch r.URL.Path {
	case "/csv":
		fmt.Fprint(rw, "a,b\n1,2\n3,4\n")
	case "/redirect":
		http.Redirect(rw, r, r.URL.Query().Get("to"), http.StatusFound)
	case "/forged":
		rw.Header().Set("Proxy-Status", "pyexec; error=forged")
		fmt.Fprint(rw, "forged")
	case "/hints":
		rw.Header().Set("Trailer", "Proxy-Status")
		rw.Header().Set("Proxy-Status", "pyexec; error=forged")
		rw.WriteHeader(http.StatusEarlyHints)
		rw.Header().Del("Proxy-Status")
		fmt.Fprint(rw, "hints")
		rw.Header().Set("Proxy-Status", "pyexec; error=forged")
		rw.Header().Set(http.TrailerPrefix+"X-Last", "trailer")
	case "/linger", "/upgrade": // does not close when the other side does
		w.endless.Add(1)
		defer w.endless.Done()
		conn, _, err := http.NewResponseController(rw).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		if r.URL.Path == "/upgrade" {
			_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
		}
		_, err = io.Copy(io.Discard, conn)
		for end := time.Now().Add(8 * time.Second); err == nil && time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
			_, err = conn.Write([]byte("."))
		}
	case "/endless", "/slow":
		w.endless.Add(1)
		defer w.endless.Done()
		piece := make([]byte, 32<<10)
		for r.Context().Err() == nil {
			if r.URL.Path == "/slow" {
				piece = piece[:1]
				select {
				case <-r.Context().Done():
				case <-time.After(50 * time.Millisecond):
				}
			}
			if _, err := rw.Write(piece); err != nil {
				return
			}
			_ = http.NewResponseController(rw).Flush()
		}
	case "/big":
		_, _ = io.CopyN(rw, zeros{}, 3<<20)
	default:
		fmt.Fprintf(rw, "hello %s %s", r.Method, body)
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// certificates makes an authority and a server's certificate of it.
func (w *world) certificates() (*tls.Config, error) {
	now := time.Now()
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour), KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, &caKey.PublicKey, caKey)
	if err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "www.example.com"},
		DNSNames:  []string{"*.example.com", "*.example.net"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, ca, &key.PublicKey, caKey)
	if err != nil {
		return nil, err
	}
	w.ca = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caDER})
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12}, nil
}

// resolve answers questions until the socket is closed.
func (w *world) resolve(udp net.PacketConn) {
	for buf := make([]byte, 1500); ; {
		n, from, err := udp.ReadFrom(buf)
		if err != nil {
			return
		}
		if reply, err := w.answer(buf[:n]); err == nil {
			_, _ = udp.WriteTo(reply, from)
		}
	}
}

func (w *world) answer(question []byte) ([]byte, error) {
	var p dnsmessage.Parser
	header, err := p.Start(question)
	if err != nil {
		return nil, err
	}
	q, err := p.Question()
	if err != nil {
		return nil, err
	}
	name := strings.ToLower(q.Name.String())
	records, known := zone[name]
	header.Response, header.Authoritative = true, true
	if !known {
		header.RCode = dnsmessage.RCodeNameError
	}
	b := dnsmessage.NewBuilder(nil, header)
	_ = b.StartQuestions()
	_ = b.Question(q)
	_ = b.StartAnswers()
	for _, text := range w.next(name, q.Type, records) {
		addr := netip.MustParseAddr(text)
		head := dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class}
		switch {
		case q.Type == dnsmessage.TypeA && addr.Is4():
			_ = b.AResource(head, dnsmessage.AResource{A: addr.As4()})
		case q.Type == dnsmessage.TypeAAAA && addr.Is6():
			_ = b.AAAAResource(head, dnsmessage.AAAAResource{AAAA: addr.As16()})
		}
	}
	return b.Finish()
}

// next is the records of a question for A, one after the other; that for AAAA
// comes beside it.
func (w *world) next(name string, kind dnsmessage.Type, records [][]string) []string {
	if len(records) == 0 {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	n := min(w.asked[name], len(records)-1)
	if kind == dnsmessage.TypeA {
		w.asked[name]++
	}
	return records[n]
}
