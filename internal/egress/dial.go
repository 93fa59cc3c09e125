package egress

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"syscall"

	pyexec "github.com/python-code-executor/pyexec"
)

// refusal is why a request goes nowhere: an answer for the script, in one line
// of ASCII, and the outcome that is counted.
type refusal struct {
	status  int
	outcome Outcome
	message string
	cause   error  // for nobody but the tests
	words   string // of the script's, which are not for the log; they end the message
}

func (r *refusal) Error() string { return r.message + r.words }

// answer is the refusal as the answer to a request. It is in the status line,
// which is what clients show of a CONNECT that fails, and in the body. RFC 9209
// has the header: with it a refusal is told from an answer of the destination.
func (r *refusal) answer() []byte {
	body := r.Error() + "\n"
	return fmt.Appendf(nil, "HTTP/1.1 %d %s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\nProxy-Status: pyexec; error=%s\r\nConnection: close\r\n\r\n%s",
		r.status, r.Error(), len(body), proxyErrors[r.outcome], body)
}

var proxyErrors = map[Outcome]string{
	Malformed: "http_request_error", NotAllowed: "http_request_denied", Forbidden: "destination_ip_prohibited",
	Unresolved: "dns_error", Unreachable: "destination_unavailable", Limited: "connection_limit_reached", Cut: "connection_terminated",
}

func refuse(status int, outcome Outcome, format string, args ...any) *refusal {
	return &refusal{status: status, outcome: outcome, message: fmt.Sprintf(format, args...)}
}

// target is where a request wants to go.
type target struct {
	host string // canonical
	port uint16
}

func (t target) String() string {
	return net.JoinHostPort(t.host, strconv.Itoa(int(t.port)))
}

// targetOf reads HOST or HOST:PORT as it stands in a request. Without a port
// it has the one given, unless that is 0.
func targetOf(text string, port uint16) (target, *refusal) {
	d, err := pyexec.ParseDestination(text)
	switch {
	case err != nil:
		no := refuse(400, Malformed, "the destination is not HOST:PORT")
		no.words = ": " + ascii(err.Error())
		return target{}, no
	case d.Public:
		d.Host = "public" // a name like any other here; it has no dot, and is refused for that
	case d.Subdomains:
		return target{}, refuse(400, Malformed, "the destination is not HOST:PORT: a wildcard is no host")
	}
	if d.Port == 0 {
		d.Port = port
	}
	if d.Port == 0 {
		return target{}, refuse(400, Malformed, "the destination has no port: write HOST:PORT")
	}
	return target{d.Host, d.Port}, nil
}

// ascii makes a text fit for a status line.
func ascii(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c < ' ' || c > '~' {
			b[i] = '?'
		}
	}
	return string(b)
}

// allowed says whether the run's rules name the target, before anything is
// looked up.
func (s *session) allowed(t target) *refusal {
	if !s.req.Allow.Permits(t.host, t.port) {
		return refuse(403, NotAllowed, "%s is not among the hosts that this run may reach; the operator of the server names them with --egress, and a request may narrow them", t)
	}
	if s.proxy.opts.Unchecked {
		return nil
	}
	why := whyLocal(t.host)
	if why != "" && (why == "a metadata server" || !s.named(t)) {
		return refuse(403, Forbidden, "the name %s is %s, which no run may reach", t.host, why)
	}
	return nil
}

// named says whether a rule names the target's host, rather than every public
// one. Names that mean something inside one network only may be named; their
// addresses are checked all the same.
func (s *session) named(t target) bool {
	var rules pyexec.Allow
	for _, d := range s.req.Allow {
		if !d.Public {
			rules = append(rules, d)
		}
	}
	return rules.Permits(t.host, t.port)
}

// resolve is every address of the target's host that a run may reach.
func (s *session) resolve(ctx context.Context, t target) ([]netip.Addr, *refusal) {
	addrs := []netip.Addr{}
	if addr, err := netip.ParseAddr(t.host); err == nil {
		addrs = append(addrs, addr)
	} else {
		ctx, cancel := context.WithTimeout(ctx, resolveTime)
		defer cancel()
		// The dot at the end: no search domains, which lead into the server's own network.
		found, err := s.proxy.resolver.LookupNetIP(ctx, "ip", t.host+".")
		if err != nil || len(found) == 0 {
			return nil, &refusal{status: 502, outcome: Unresolved, message: fmt.Sprintf("the name %s has no address", t.host), cause: err}
		}
		for _, addr := range found {
			addrs = append(addrs, addr.Unmap()) // what is connected to is what is checked
		}
	}
	may := addrs[:0:0]
	why := ""
	for _, addr := range addrs {
		if no := s.proxy.whyNot(addr); no != "" {
			why = no
		} else {
			may = append(may, addr)
		}
	}
	if len(may) == 0 {
		return nil, refuse(403, Forbidden, "the address of %s is %s, which no run may reach", t.host, why)
	}
	return may, nil
}

// whyNot says why nobody may connect to an address; "" when one may.
func (p *Proxy) whyNot(addr netip.Addr) string {
	if p.opts.Unchecked {
		return ""
	}
	if why := whyForbidden(addr); why != "" {
		return why
	}
	if p.own.has(addr) {
		return "the server's own"
	}
	return ""
}

// dial connects to the first of the addresses that answers. Names are out of
// the game here: a resolver that changes its answer changes nothing. The place
// that the caller has taken goes back with the connection, or with the failure.
func (s *session) dial(ctx context.Context, c *clientConn, addrs []netip.Addr, t target) (*serverConn, *refusal) {
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	dialer := net.Dialer{
		Timeout: dialTime / 2, // one that does not answer leaves time for another
		Control: func(_, address string, _ syscall.RawConn) error {
			to, err := netip.ParseAddrPort(address)
			if err != nil || s.proxy.whyNot(to.Addr()) != "" {
				return errors.New("bug: an address that was not checked")
			}
			return nil
		},
	}
	var last error
	for _, addr := range addrs {
		raw, err := dialer.DialContext(ctx, "tcp", netip.AddrPortFrom(addr, t.port).String())
		if err != nil {
			last = err
			continue
		}
		up := &serverConn{Conn: raw, client: c}
		if !s.enter(up) {
			_ = raw.Close()
			<-s.places
			return nil, &refusal{status: 503, outcome: Cut, message: "the run ended", cause: errEnded}
		}
		if err := c.connected(up); err != nil {
			_ = up.Close()
			return nil, &refusal{status: 503, outcome: Cut, message: err.Error(), cause: err}
		}
		c.line.addr = addr
		return up, nil
	}
	<-s.places
	status, what := 502, "cannot be reached"
	var timeout net.Error
	switch {
	case errors.Is(last, syscall.ECONNREFUSED):
		what = "refused the connection"
	case errors.As(last, &timeout) && timeout.Timeout():
		status, what = 504, "did not answer in time"
	}
	return nil, &refusal{status: status, outcome: Unreachable, message: fmt.Sprintf("%s %s", t, what), cause: last}
}
