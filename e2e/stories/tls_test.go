package stories

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/python-code-executor/pyexec/e2e/e2etest"
)

// writePair writes a certificate for 127.0.0.1 with this serial number, and
// its key, each by a rename.
func writePair(t *testing.T, dir string, serial int64) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{
		"tls.crt": {Type: "CERTIFICATE", Bytes: der}, "tls.key": {Type: "PRIVATE KEY", Bytes: private},
	} {
		fresh := filepath.Join(dir, name+".new")
		if err := os.WriteFile(fresh, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(fresh, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestHTTPS: runs over HTTP/2, and a certificate that is replaced while the
// server goes on.
func TestHTTPS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writePair(t, dir, 1)
	crt, key := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	server := launch(t, e2etest.Config{TLS: true, Args: []string{"--tls-cert=" + crt, "--tls-key=" + key}})
	post := func() (proto string, serial int64, body string) {
		tr := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}
		defer tr.CloseIdleConnections()
		res, err := (&http.Client{Transport: tr}).Post(server.BaseURL+"/execute", "application/json", strings.NewReader(`{"script":"def main(): return 1"}`))
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		text, _ := io.ReadAll(res.Body)
		return res.Proto, res.TLS.PeerCertificates[0].SerialNumber.Int64(), string(text)
	}
	for serial := int64(1); serial <= 3; serial++ {
		if proto, got, body := post(); proto != "HTTP/2.0" || got != serial || body != `{"result":1,"stdout":""}` {
			t.Errorf("%s with certificate %d, not %d: %s", proto, got, serial, body)
		}
		writePair(t, dir, serial+1)
	}
	// A pair that does not fit is passed over.
	if err := os.WriteFile(key, []byte("no key"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, body := post(); !strings.Contains(body, `"result":1`) {
		t.Errorf("with a broken key: %s", body)
	}
	if _, words, status := pyexec(t, nil, "serve", "--addr=127.0.0.1:0", "--tls-cert="+crt, "--tls-key="+key); status != 78 || !strings.Contains(words, "tls-cert, tls-key") {
		t.Errorf("a start with a broken key: %d %s", status, words)
	}
	// For the writer of a pipe neither a handshake nor a start waits.
	if err := errors.Join(os.Remove(key), unix.Mkfifo(key, 0o600)); err != nil {
		t.Fatal(err)
	}
	if _, _, body := post(); !strings.Contains(body, `"result":1`) {
		t.Errorf("with a pipe in place of the key: %s", body)
	}
	if _, words, status := pyexec(t, nil, "serve", "--addr=127.0.0.1:0", "--tls-cert="+crt, "--tls-key="+key); status != 78 || !strings.Contains(words, "tls-key: "+key+" is not a regular file") {
		t.Errorf("a start with a pipe: %d %s", status, words)
	}
}

// TestNamesAndSites: what a browser of this machine may be made to send.
func TestNamesAndSites(t *testing.T) {
	t.Parallel()
	run := request{"script": inMain("return 1")}
	url := shared(t)
	execute(t, url, run, "Origin", "https://evil.example").fails(t, 403, "forbidden")
	execute(t, url, run, "Origin", url).want(t, "1")
	rebound := func(url string) int {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/health", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = "evil.example"
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		return res.StatusCode
	}
	if status := rebound(url); status != 403 {
		t.Errorf("a foreign name on loopback: %d", status)
	}
	open := launch(t, e2etest.Config{Args: []string{"--addr=0.0.0.0:0", "--cors-origins=*"}})
	execute(t, open.BaseURL, run, "Origin", "https://any.example").want(t, "1")
	for _, want := range []string{"anybody who reaches this address", "pages of every site"} {
		if !strings.Contains(open.Log(), want) {
			t.Errorf("the log does not warn of %q", want)
		}
	}
	server := start(t, "--allowed-hosts=evil.example", "--cors-origins=https://app.example.com")
	if status := rebound(server.BaseURL); status != 200 {
		t.Errorf("a listed name: %d", status)
	}
	a := execute(t, server.BaseURL, run, "Origin", "https://app.example.com")
	a.want(t, "1")
	if got := a.header.Get("Access-Control-Allow-Origin"); got != "https://app.example.com" {
		t.Errorf("Access-Control-Allow-Origin: %q", got)
	}
}

// TestConfigPrints what another server can read, and all that is wrong.
func TestConfigPrints(t *testing.T) {
	t.Parallel()
	args := []string{"config", "--rate=10/s", "--cors-origins=https://a.example,https://b.example", "--require-auth", "--keys-file=/k", "--oidc-scopes=a:b,c", "--oidc-issuer=https://id.example.com", "--oidc-audience=x"}
	first, words, status := pyexec(t, nil, args...)
	if status != 0 {
		t.Fatalf("%d %s", status, words)
	}
	file := filepath.Join(t.TempDir(), "pyexec.yaml")
	if err := os.WriteFile(file, []byte(first), 0o600); err != nil {
		t.Fatal(err)
	}
	again, words, status := pyexec(t, nil, "config", "--config="+file)
	if status != 0 || again != first {
		t.Errorf("read again, it is %d %s\n%s\nnot\n%s", status, words, again, first)
	}
	_, words, status = pyexec(t, []string{"PYEXEC_COLOUR=red"}, "config", "--cors-origins=example.com/x", "--allowed-hosts=A:1", "--tls-cert=/x", "--queue=x", "--require-isolation=bogus")
	for _, want := range []string{"PYEXEC_COLOUR", `"bogus"`, "queue (--queue)", `"example.com/x"`, `"A:1"`, "tls-cert, tls-key: one is no use"} {
		if status != 78 || !strings.Contains(words, want) {
			t.Errorf("%d: it does not say %s:\n%s", status, want, words)
		}
	}
	// Well-formed, but naming what is not there.
	out, words, status := pyexec(t, nil, "config", "--require-isolation=bogus,foo", "--unsafe-disable-layers=bar", "--oidc-issuer=baz", "--oidc-audience=x", "--egress=127.0.0.1")
	for _, want := range []string{`"bogus", "foo"`, `"bar"`, `"baz"`, "egress: 127.0.0.1"} {
		if status != 78 || out != "" || !strings.Contains(words, want) {
			t.Errorf("%d: it does not say %s:\n%s%s", status, want, out, words)
		}
	}
}
