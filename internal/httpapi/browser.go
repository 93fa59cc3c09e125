package httpapi

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/python-code-executor/pyexec"
)

// Browsers says what of a browser's requests is let in. A page of any site can
// make its visitors' browsers send requests, to this machine and to networks
// that the site itself cannot reach.
type Browsers struct {
	// Hosts are the names that the Host header may have, beside those that no
	// other site can have for its own: addresses, localhost and names without a
	// dot. Without any, every name may be there.
	Hosts []string
	// Origins are the sites whose pages may call, such as https://example.com;
	// * is every site. The server's own pages always may.
	Origins []string
}

// AnyHost in Browsers.Hosts lets every name in, as an empty list does.
const AnyHost = "*"

// browsers is what Browsers says, ready for use.
type browsers struct {
	Browsers

	cross http.CrossOriginProtection
	all   bool // every site
}

func newBrowsers(opts Browsers) *browsers {
	b := &browsers{Browsers: opts, all: slices.Contains(opts.Origins, "*")}
	for _, origin := range opts.Origins {
		_ = b.cross.AddTrustedOrigin(origin) // the configuration has checked it; what is none is trusted by nobody
	}
	return b
}

// check refuses what a page of another site may have sent. A name that a site
// owns and lets point here (DNS rebinding) makes its pages ours in the eyes of
// the browser; it is told by the Host header alone.
func (b *browsers) check(r *http.Request) error {
	if !b.knows(r.Host) {
		return &pyexec.Error{
			Code:    pyexec.CodeForbidden,
			Message: "this server does not answer to the name in the Host header: use localhost or an address, or let its operator add the name to allowed-hosts",
		}
	}
	if err := b.cross.Check(r); err != nil && !b.all {
		return &pyexec.Error{
			Code: pyexec.CodeForbidden, Err: err,
			Message: "pages of other sites may not call this server, unless its operator adds them to cors-origins",
		}
	}
	return nil
}

// Guard is next for those whom the API would let in, too.
func (opts Browsers) Guard(next http.Handler) http.Handler {
	b := newBrowsers(opts)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := b.check(r); err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// knows tells whether the Host header may have this value.
func (b *browsers) knows(host string) bool {
	if len(b.Hosts) == 0 || slices.Contains(b.Hosts, AnyHost) {
		return true
	}
	name := host
	if h, port, err := net.SplitHostPort(host); err == nil && strings.Trim(port, "0123456789") == "" {
		name = h
	}
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	switch _, err := netip.ParseAddr(strings.Trim(name, "[]")); {
	case err == nil, !strings.Contains(name, "."): // none at all, too: browsers always send one
		return true
	case strings.HasSuffix(name, ".localhost"): // loopback alone, by RFC 6761
		return true
	}
	return slices.Contains(b.Hosts, name)
}

// Fields of a request that pages may set, and of an answer that they may read.
const (
	corsAsks  = "Authorization, Content-Type, Traceparent, Tracestate, X-Request-Id"
	corsReads = "RateLimit, RateLimit-Policy, Retry-After, Server-Timing, WWW-Authenticate, X-Isolation, X-Request-Id"
)

// allow sets what lets pages of the site in Origin read the answer. Keys come
// in a header and never in a cookie, so Allow-Credentials is never needed.
func (b *browsers) allow(r *http.Request, h http.Header) (allowed bool) {
	if len(b.Origins) == 0 {
		return false
	}
	h.Add("Vary", "Origin")
	origin := r.Header.Get("Origin")
	if origin == "" || !b.all && !slices.Contains(b.Origins, origin) {
		return false
	}
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Expose-Headers", corsReads)
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	return true
}

// preflight answers a browser that asks, for a page of a site that may call,
// what it may send.
func (x *exchange) preflight(methods []string) reply {
	h := x.w.Header()
	h.Set("Access-Control-Allow-Methods", strings.Join(methods, ", "))
	h.Set("Access-Control-Allow-Headers", corsAsks)
	h.Set("Access-Control-Max-Age", "600")
	return reply{status: http.StatusNoContent, outcome: "ok"}
}

// harmless sets what keeps a browser from making more of an answer than JSON.
// A handler of a page sets its own. There is no Strict-Transport-Security: it
// would speak for the other ports of the host as well, which are not ours.
func harmless(h http.Header) {
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Frame-Options", "DENY")
}
