package egress

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// tools are what the tricks are made of. raw and connect speak to the proxy by
// hand and return the status of its answer; 0 is a closed connection.
const tools = `
import ctypes, os, re, socket, struct, time, urllib.request, urllib.error
import requests
PROXY = ("127.0.0.1", 3128)

def raw(data, wait=3):
    with socket.create_connection(PROXY, wait) as s:
        try:
            s.sendall(data if isinstance(data, bytes) else data.encode())
            got = b""
            while piece := s.recv(65536):
                got += piece
        except OSError:
            pass
    SAID.append(got.decode("latin-1"))
    first = re.match(rb"HTTP/1\.[01] (\d+)", got)
    return int(first[1]) if first else 0

def connect(to, then=b""):
    return raw(f"CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n\r\n".encode() + then)

def plain(url, host=None, extra=""):
    host = host or "www.example.com"
    return raw(f"GET {url} HTTP/1.1\r\nHost: {host}\r\n{extra}\r\n")

def get(url, **options):
    try:
        r = requests.get(url, timeout=4, **options)
    except requests.exceptions.RequestException as e:
        SAID.append(str(e))
        return type(e).__name__
    SAID.append(r.text)
    return r.status_code

def tried(what, *args):
    """The name of the OSError that what raises."""
    try:
        return "reached: " + repr(what(*args))
    except OSError as e:
        return "OSError"

def direct(address, kind=socket.SOCK_STREAM, family=socket.AF_INET):
    with socket.socket(family, kind) as s:
        s.settimeout(2)
        s.connect(address)
        s.send(b"GET / HTTP/1.0\r\n\r\n")
        return s.recv(100)

SAID = []

def main():
    return [%s, SAID]
`

// A trick is one expression and what it must come to.
type trick struct{ name, try, want string }

// refused are tricks against a run that may reach every public host: what
// stops them is the check of addresses and names, and of the request's form.
var refused = []trick{
	// Addresses, and other ways to write them.
	{"metadata", `get("http://169.254.169.254/latest/meta-data/")`, "403"},
	{"metadata by CONNECT", `connect("169.254.169.254:80")`, "403"},
	{"metadata of Azure", `get("http://168.63.129.16/machine")`, "403"},
	{"metadata of Alibaba", `get("http://100.100.100.200/")`, "403"},
	{"metadata of Oracle", `get("http://192.0.0.192/")`, "403"},
	{"metadata of AWS, IPv6", `connect("[fd00:ec2::254]:80")`, "403"},
	{"loopback", `get("http://127.0.0.1/")`, "403"},
	{"loopback, elsewhere in it", `get("http://127.9.9.9/")`, "403"},
	{"loopback, another port", `get("http://127.0.0.1:8080/")`, "403"},
	{"localhost", `get("http://localhost/")`, "403"},
	{"localhost with a dot", `get("http://localhost./")`, "403"},
	{"a name below localhost", `get("http://x.localhost/")`, "403"},
	{"private 10", `get("http://10.11.12.13/")`, "403"},
	{"private 172.16", `get("http://172.16.5.5/")`, "403"},
	{"private 192.168", `get("http://192.168.7.7/")`, "403"},
	{"carrier's", `get("http://100.64.9.9/")`, "403"},
	{"benchmarks", `get("http://198.18.3.3/")`, "403"},
	{"documentation", `get("http://203.0.113.5/")`, "403"},
	{"unspecified", `connect("0.0.0.0:80")`, "403"},
	{"broadcast", `connect("255.255.255.255:80")`, "403"},
	{"multicast", `connect("224.0.0.1:80")`, "403"},
	{"reserved", `connect("240.0.0.1:80")`, "403"},
	{"6to4 relay", `connect("192.88.99.1:80")`, "403"},
	{"the server's own public address", `get("http://93.184.216.1/")`, "403"},
	{"one decimal number", `connect("2130706433:80")`, "400"},
	{"one decimal number in a URL", `plain("http://2852039166/")`, "400"},
	{"one hexadecimal number", `connect("0x7f000001:80")`, "400"},
	{"octal parts", `connect("0177.0.0.1:80")`, "400"},
	{"hexadecimal parts", `plain("http://0xa9.0xfe.0xa9.0xfe/")`, "400"},
	{"leading zeros", `connect("127.000.000.001:80")`, "400"},
	{"parts left out", `connect("127.1:80")`, "400"},
	{"zero", `connect("0:80")`, "400"},
	{"five parts", `connect("127.0.0.1.1:80")`, "400"},
	{"a dot after an address", `connect("169.254.169.254.:80")`, "400"},
	{"IPv6 loopback", `connect("[::1]:80")`, "403"},
	{"IPv6 unspecified", `connect("[::]:80")`, "403"},
	{"IPv6 mapped", `connect("[::ffff:127.0.0.1]:80")`, "403"},
	{"IPv6 mapped, hexadecimal", `connect("[::ffff:a9fe:a9fe]:80")`, "403"},
	{"IPv6 compatible", `connect("[::127.0.0.1]:80")`, "403"},
	{"IPv6 translated", `connect("[::ffff:0:127.0.0.1]:80")`, "403"},
	{"NAT64", `connect("[64:ff9b::a9fe:a9fe]:80")`, "403"},
	{"NAT64, local", `connect("[64:ff9b:1::a9fe:a9fe]:80")`, "403"},
	{"6to4", `connect("[2002:a9fe:a9fe::1]:80")`, "403"},
	{"Teredo", `connect("[2001:0:4136:e378:8000:63bf:3fff:fdd2]:80")`, "403"},
	{"ISATAP", `connect("[2606:4700::5efe:a9fe:a9fe]:80")`, "403"},
	{"link-local IPv6", `connect("[fe80::1]:80")`, "403"},
	{"link-local IPv6 with a zone", `connect("[fe80::1%25lo]:80")`, "400"},
	{"a zone", `connect("[::1%lo]:80")`, "400"},
	{"site-local IPv6", `connect("[fec0::1]:80")`, "403"},
	{"documentation IPv6", `connect("[2001:db8::1]:80")`, "403"},
	{"multicast IPv6", `connect("[ff02::1]:80")`, "403"},
	{"discard IPv6", `connect("[100::1]:80")`, "403"},
	{"the server's own IPv6", `connect("[2606:4700::1111]:80")`, "403"},
	// Names.
	{"a name of loopback", `get("http://loopback.example.com/")`, "403"},
	{"a name of the metadata", `get("http://metadata.example.com/")`, "403"},
	{"a name of the metadata, TLS", `connect("metadata.example.com:443")`, "403"},
	{"a name of 10", `get("http://private.example.com/")`, "403"},
	{"a name of 172.16", `get("http://private172.example.com/")`, "403"},
	{"a name of 192.168", `get("http://private192.example.com/")`, "403"},
	{"a name of a carrier's", `get("http://cgnat.example.com/")`, "403"},
	{"a name of benchmarks", `get("http://bench.example.com/")`, "403"},
	{"a name of documentation", `get("http://docs.example.com/")`, "403"},
	{"a name of Azure's", `get("http://azure.example.com/")`, "403"},
	{"a name of zero", `get("http://zero.example.com/")`, "403"},
	{"a name of the server's own", `get("http://own.example.com/")`, "403"},
	{"a name of broadcast", `get("http://broadcast.example.com/")`, "403"},
	{"a name of multicast", `get("http://multicast.example.com/")`, "403"},
	{"a name of IPv6 loopback", `get("http://six-loopback.example.com/")`, "403"},
	{"a name of a mapped one", `get("http://six-mapped.example.com/")`, "403"},
	{"a name of unique-local", `get("http://six-ula.example.com/")`, "403"},
	{"a name of NAT64", `get("http://six-nat64.example.com/")`, "403"},
	{"a name of 6to4", `get("http://six-6to4.example.com/")`, "403"},
	{"a name of the server's own IPv6", `get("http://six-own.example.com/")`, "403"},
	{"a name of the server's hosts file", `get("http://hosts-loopback.example.com/")`, "403"},
	{"a metadata name whose address is public", `get("http://metadata.google.internal/")`, "403"},
	{"a metadata name in capitals", `get("http://METADATA.GOOGLE.INTERNAL./")`, "403"},
	{"a local name whose address is public", `get("http://printer.local/")`, "403"},
	{"an internal name whose address is public", `get("http://db.internal/")`, "403"},
	{"a name without a dot", `get("http://metadata/")`, "403"},
	{"a name that is not there", `get("http://nothing.example.com/")`, "502"},
	{"a name with a space", `plain("http://www.example.com%20.evil/")`, "400"},
	{"full-width digits", `raw("CONNECT \uff11\uff12\uff17.0.0.1:80 HTTP/1.1\r\nHost: x\r\n\r\n")`, "400"},
	{"circled digits", `raw("GET http://\u2460\u2461\u2466.0.0.1/ HTTP/1.1\r\nHost: x\r\n\r\n")`, "400"},
	{"an escaped address", `plain("http://%31%32%37.0.0.1/")`, "400"},
	{"a NUL in the name", `connect("www.example.com\0.evil:80")`, "400"},
	{"a very long name", `connect("a" * 300 + ".com:80")`, "400"},
	{"a long label", `connect("a" * 64 + ".com:80")`, "400"},
	// Redirects.
	{"redirect to the metadata", `get("http://www.example.com/redirect?to=http://169.254.169.254/latest")`, "403"},
	{"redirect to a name of it", `get("http://www.example.com/redirect?to=http://metadata.example.com/")`, "403"},
	{"redirect to loopback", `get("http://www.example.com/redirect?to=http://127.0.0.1:8080/")`, "403"},
	{"redirect to a number", `get("http://www.example.com/redirect?to=http://2130706433/")`, "400"},
	{"redirect to a file", `get("http://www.example.com/redirect?to=file:///etc/passwd")`, "InvalidSchema"},
	// User-info, fragments and backslashes.
	{"user-info that looks like a host", `plain("http://www.example.com@169.254.169.254/")`, "400"},
	{"user-info with a password", `plain("http://www.example.com:80@127.0.0.1/")`, "400"},
	{"user-info in CONNECT", `connect("www.example.com@127.0.0.1:80")`, "400"},
	{"a fragment before the host", `plain("http://www.example.com#@127.0.0.1/")`, "400"},
	{"a backslash before the host", `plain("http://www.example.com\\@127.0.0.1/")`, "400"},
	{"user-info by requests", `get("http://www.example.com:x@169.254.169.254/")`, "403"},
	// Ports.
	{"SSH", `connect("www.example.com:22")`, "403"},
	{"SMTP", `connect("www.example.com:25")`, "403"},
	{"Redis by HTTP", `plain("http://www.example.com:6379/")`, "403"},
	{"another HTTP port", `get("http://www.example.com:8080/")`, "403"},
	{"port 0", `connect("www.example.com:0")`, "400"},
	{"port beyond", `connect("www.example.com:65616")`, "400"},
	{"port far beyond", `connect("www.example.com:4294967376")`, "400"},
	{"port with a sign", `connect("www.example.com:+80")`, "400"},
	{"port with a zero", `connect("www.example.com:0443")`, "400"},
	{"port in hexadecimal", `connect("www.example.com:0x50")`, "400"},
	{"two ports", `connect("www.example.com:80:22")`, "400"},
	{"no port in CONNECT", `connect("www.example.com")`, "400"},
	{"an empty port", `plain("http://www.example.com:/")`, "400"},
	{"a service's name", `connect("www.example.com:https")`, "400"},
	// The form of requests.
	{"no absolute form", `plain("/latest/meta-data/", "169.254.169.254")`, "400"},
	{"asterisk", `raw("OPTIONS * HTTP/1.1\r\nHost: 169.254.169.254\r\n\r\n")`, "400"},
	{"https in absolute form", `plain("https://www.example.com/")`, "400"},
	{"ftp", `plain("ftp://www.example.com/")`, "400"},
	{"file", `plain("file:///etc/passwd")`, "400"},
	{"gopher", `plain("gopher://127.0.0.1:6379/_x")`, "400"},
	{"no host", `plain("http:///x")`, "400"},
	{"an opaque URL", `plain("http:www.example.com")`, "400"},
	{"CONNECT with a URL", `connect("http://www.example.com:80/")`, "400"},
	{"CONNECT with a path", `connect("www.example.com:443/x")`, "400"},
	{"CONNECT to a wildcard", `connect("*.example.com:443")`, "400"},
	{"two Host headers", `plain("http://www.example.com/", extra="Host: 127.0.0.1\r\n")`, "400"},
	{"no Host header", `raw("GET http://www.example.com/ HTTP/1.1\r\n\r\n")`, "400"},
	{"two lengths", `raw("POST http://www.example.com/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 60\r\n\r\nxGET http://127.0.0.1/ HTTP/1.1\r\nHost: x\r\n\r\n")`, "400"},
	{"a length that is none", `raw("POST http://www.example.com/ HTTP/1.1\r\nHost: x\r\nContent-Length: +5\r\n\r\nabcde")`, "400"},
	{"an unknown transfer coding", `raw("POST http://www.example.com/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n")`, "400"},
	{"a header of 64 KiB", `plain("http://www.example.com/", extra="X: " + "y" * 65536 + "\r\n")`, "431"},
	{"a line break in a header's name", `raw("GET http://www.example.com/ HTTP/1.1\r\nHost: x\r\nA B: c\r\n\r\n")`, "400"},
	{"a folded header", `raw("GET http://www.example.com/ HTTP/1.1\r\n Host: 127.0.0.1\r\n\r\n")`, "400"},
	{"HTTP/2 without a word before", `raw("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")`, "400"},
	{"HTTP/3", `raw("GET http://www.example.com/ HTTP/3.0\r\nHost: x\r\n\r\n")`, "400"},
	{"an unknown expectation", `plain("http://www.example.com/", extra="Expect: 200-ok\r\n")`, "417"},
	{"what cannot be read is refused by the proxy's word", `(raw("x\r\n\r\n"), raw(b"GET http://www.example.com/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n"), all("Proxy-Status: pyexec; error=http_request_error" in s for s in SAID))`, "[400,400,true]"},
	{"a destination's Proxy-Status before and after its answer", `(plain("http://www.example.com/hints"), "hints" in SAID[0], "forged" in SAID[0])`, "[103,true,false]"},
	{"HTTP/0.9", `raw("GET http://www.example.com/\r\n\r\n")`, "400"},
	{"not HTTP", `raw(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\r\n\r\n")`, "400"},
	{"SOCKS", `raw(b"\x05\x01\x00\r\n\r\n")`, "400"},
	// Around the proxy.
	{"straight to a public host", `tried(direct, ("93.184.216.34", 80))`, `"OSError"`},
	{"straight to the metadata", `tried(direct, ("169.254.169.254", 80))`, `"OSError"`},
	{"another port of loopback", `tried(direct, ("127.0.0.1", 8080))`, `"OSError"`},
	{"the proxy's port on another address", `tried(direct, ("10.11.12.1", 3128))`, `"OSError"`},
	{"IPv6", `tried(direct, ("::1", 80, 0, 0), socket.SOCK_STREAM, socket.AF_INET6)`, `"OSError"`},
	{"UDP", `tried(direct, ("127.0.0.1", 5353), socket.SOCK_DGRAM)`, `"OSError"`},
	{"UDP over IPv6", `tried(direct, ("::1", 5353), socket.SOCK_DGRAM, socket.AF_INET6)`, `"OSError"`},
	{"raw", `tried(socket.socket, socket.AF_INET, socket.SOCK_RAW, 1)`, `"OSError"`},
	{"packet", `tried(socket.socket, 17, socket.SOCK_RAW)`, `"OSError"`},
	{"netlink", `tried(socket.socket, 16, socket.SOCK_RAW)`, `"OSError"`},
	{"vsock", `tried(socket.socket, 40, socket.SOCK_STREAM)`, `"OSError"`},
	{"SCTP", `tried(socket.socket, socket.AF_INET, socket.SOCK_STREAM, 132)`, `"OSError"`},
	{"MPTCP", `tried(socket.socket, socket.AF_INET, socket.SOCK_STREAM, 262)`, `"OSError"`},
	{"an address for the interface", `tried(lambda: __import__("fcntl").ioctl(socket.socket(), 0x8916, b"lo" + bytes(38)))`, `"OSError"`},
	{"to listen", `tried(socket.socket().bind, ("127.0.0.1", 8081))`, `"OSError"`},
	{"no proxy", `(lambda s: (setattr(s, "trust_env", False), tried(s.get, "http://www.example.com/"))[1])(requests.Session())`, `"OSError"`},
}

// notAllowed are tricks against a run that may reach www.example.com alone.
var notAllowed = []trick{
	{"another host", `get("http://api.example.com/")`, "403"},
	{"another host, TLS", `connect("api.example.com:443")`, "403"},
	{"the address of the host", `connect("93.184.216.34:443")`, "403"},
	{"the name above", `get("http://example.com/")`, "403"},
	{"a name below", `get("http://x.www.example.com/")`, "403"},
	{"a name that goes on", `get("http://www.example.com.evil.example.net/")`, "403"},
	{"a name that ends so", `get("http://evilwww.example.com/")`, "403"},
	{"a letter for the dot", `get("http://wwwxexample.com/")`, "403"},
	{"Host header of another", `plain("http://other.example.net/", "www.example.com")`, "403"},
	{"redirect to another", `get("http://www.example.com/redirect?to=http://other.example.net/")`, "403"},
	{"its own rule as a host", `connect("public:80")`, "403"},
	{"user-info", `plain("http://www.example.com@other.example.net/")`, "400"},
	{"a sign that is a letter in lower case", `connect("www.example.\u212aom:443")`, "400"},
	{"a homograph", `get("http://www.ex\u0430mple.com/")`, "403"},
}

func TestTricks(t *testing.T) {
	if n := len(refused) + len(notAllowed); n < 60 {
		t.Fatalf("only %d tricks", n)
	}
	w := inWorld(t)
	for egress, tricks := range map[string][]trick{"public": refused, "www.example.com": notAllowed} {
		t.Run(egress, func(t *testing.T) {
			s, _ := start(t, "--egress="+egress)
			if a := execute(t, s, fmt.Sprintf(tools, `get("http://www.example.com/")`), nil); !strings.HasPrefix(a.Text, `{"result":[200,`) {
				t.Fatalf("the twin: %s", a.Text)
			}
			for _, c := range tricks {
				a := execute(t, s, fmt.Sprintf(tools, c.try), nil)
				got := a.Text
				if result, ok := a.Result.([]any); ok && len(result) == 2 {
					one, _ := json.Marshal(result[0])
					got = string(one)
				}
				if got != c.want && got != `"`+c.want+`"` {
					t.Errorf("%s: %s; want %s; the answer: %.300s", c.name, got, c.want, a.Text)
				}
				if strings.Contains(a.Text, secret) {
					t.Errorf("%s: reached: %s", c.name, a.Text)
				}
			}
			if b := w.reached(); len(b) > 0 {
				t.Errorf("reached: %v", b)
			}
		})
	}
}

// TestRebinding: the name's address changes between any two questions, and the
// one that was checked is the one that is connected to.
func TestRebinding(t *testing.T) {
	w := inWorld(t)
	s, _ := start(t, "--egress=public")
	a := execute(t, s, fmt.Sprintf(tools, `[get("http://flip.example.com/") for _ in range(6)]`), nil)
	if !strings.HasPrefix(a.Text, `{"result":[[200,403,200,403,403,403],`) {
		t.Errorf("%s", a.Text)
	}
	if b := w.reached(); len(b) > 0 {
		t.Errorf("reached: %v", b)
	}
}

// TestSmuggling: what stands behind a request is never another one.
func TestSmuggling(t *testing.T) {
	w := inWorld(t)
	s, _ := start(t, "--egress=www.example.com")
	for name, data := range map[string]string{
		"pipelined":            `GET http://www.example.com/1 HTTP/1.1\r\nHost: x\r\n\r\nGET http://www.example.com/smuggled HTTP/1.1\r\nHost: x\r\n\r\n`,
		"chunked and length":   `POST http://www.example.com/1 HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET http://www.example.com/smuggled HTTP/1.1\r\nHost: x\r\n\r\n`,
		"in the body of a GET": `GET http://www.example.com/1 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabcGET http://www.example.com/smuggled HTTP/1.1\r\nHost: x\r\n\r\n`,
		"a Host of its own":    `GET http://www.example.com/1 HTTP/1.1\r\nHost: smuggled\r\n\r\n`,
		"connection options":   `GET http://www.example.com/1 HTTP/1.1\r\nHost: x\r\nConnection: X-Secret\r\nX-Secret: smuggled\r\nProxy-Authorization: smuggled\r\n\r\n`,
	} {
		a := execute(t, s, fmt.Sprintf(tools, `raw("`+data+`")`), nil)
		got := w.requests()
		if text := fmt.Sprint(got); len(got) > 1 || strings.Contains(text, "smuggled") {
			t.Errorf("%s: %s; %s", name, text, a.Text)
		}
		if len(got) == 1 && got[0].Host != "www.example.com" {
			t.Errorf("%s: sent on to %q", name, got[0].Host)
		}
	}
}

// TestAddressCheckCarriesWeight: without it the metadata server answers.
func TestAddressCheckCarriesWeight(t *testing.T) {
	w := inWorld(t)
	for _, without := range []bool{false, true} {
		args := []string{"--egress=public"}
		if without {
			args = append(args, "--unsafe-disable-layers=egress_addresses")
		}
		s, _ := start(t, args...)
		for _, try := range []string{`get("http://169.254.169.254/")`, `get("http://metadata.example.com/")`, `get("http://127.0.0.1/")`} {
			a := execute(t, s, fmt.Sprintf(tools, try), nil)
			if got := strings.Contains(a.Text, secret); got != without {
				t.Errorf("%s with the check off %v: %s", try, without, a.Text)
			}
			if got := len(w.reached()) > 0; got != without {
				t.Errorf("%s with the check off %v: reached %v", try, without, got)
			}
		}
	}
}
