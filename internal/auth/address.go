package auth

import (
	"net"
	"net/netip"
	"strings"
)

// ClientAddress is the address of whoever sent a request through proxies
// trusted proxies: each of them appended the address that it saw to
// X-Forwarded-For, so that only the last entries are theirs and what stands
// before them can be anybody's invention. A client that evades them has the
// address of its connection. Of IPv6 it is the /64, which one host has whole.
func ClientAddress(remote string, forwarded []string, proxies int) string {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		host = remote
	}
	peer, err := netip.ParseAddr(host)
	if err != nil {
		return remote // of a Unix socket, say
	}
	if proxies > 0 {
		hops := strings.Split(strings.Join(forwarded, ","), ",")
		if n := len(hops) - proxies; n >= 0 {
			if a, ok := parseHop(hops[n]); ok {
				peer = a
			}
		}
	}
	return group(peer)
}

// parseHop reads an entry of X-Forwarded-For; some proxies write the port as
// well.
func parseHop(s string) (netip.Addr, bool) {
	s = strings.TrimSpace(s)
	if a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]")); err == nil {
		return a, true
	}
	p, err := netip.ParseAddrPort(s)
	return p.Addr(), err == nil
}

func group(a netip.Addr) string {
	a = a.Unmap().WithZone("")
	if a.Is4() {
		return a.String()
	}
	if a.IsLoopback() {
		return a.String()
	}
	p, err := a.Prefix(64)
	if err != nil {
		return a.String()
	}
	return p.String()
}
