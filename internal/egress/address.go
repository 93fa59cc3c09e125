package egress

import (
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	pyexec "github.com/python-code-executor/pyexec"
)

// globalUnicast is all of IPv6 that is given out to the world. Outside it are
// the loopback and unspecified addresses, mapped (::ffff:0:0/96) and NAT64
// (64:ff9b::/96, 64:ff9b:1::/48) ones, unique-local, link-local, site-local
// and multicast.
var globalUnicast = netip.MustParsePrefix("2000::/3")

// forbidden are the networks that no run reaches, whatever the rules allow, in
// the order of the IANA registries for special purposes.
var forbidden = []struct {
	prefix netip.Prefix
	name   string
}{
	{netip.MustParsePrefix("0.0.0.0/8"), "unspecified"},
	{netip.MustParsePrefix("10.0.0.0/8"), "private"},
	{netip.MustParsePrefix("100.64.0.0/10"), "shared by a carrier"}, // and Alibaba's metadata
	{netip.MustParsePrefix("127.0.0.0/8"), "loopback"},
	{netip.MustParsePrefix("169.254.0.0/16"), "link-local"}, // and most clouds' metadata
	{netip.MustParsePrefix("172.16.0.0/12"), "private"},
	{netip.MustParsePrefix("192.0.0.0/24"), "reserved"}, // and Oracle's metadata
	{netip.MustParsePrefix("192.0.2.0/24"), "for documentation"},
	{netip.MustParsePrefix("192.88.99.0/24"), "a 6to4 relay"},
	{netip.MustParsePrefix("192.168.0.0/16"), "private"},
	{netip.MustParsePrefix("198.18.0.0/15"), "for benchmarks"},
	{netip.MustParsePrefix("198.51.100.0/24"), "for documentation"},
	{netip.MustParsePrefix("203.0.113.0/24"), "for documentation"},
	{netip.MustParsePrefix("224.0.0.0/4"), "multicast"},
	{netip.MustParsePrefix("240.0.0.0/4"), "reserved"},               // and broadcast
	{netip.MustParsePrefix("168.63.129.16/32"), "a metadata server"}, // Azure's, though the address is a public one
	// Within globalUnicast. The first holds Teredo, ORCHID and benchmarks: an
	// address in it may carry any IPv4 address inside.
	{netip.MustParsePrefix("2001::/23"), "reserved"},
	{netip.MustParsePrefix("2001:db8::/32"), "for documentation"},
	{netip.MustParsePrefix("2002::/16"), "6to4"},
	{netip.MustParsePrefix("3fff::/20"), "for documentation"},
}

// isatap are the interface identifiers that carry an IPv4 address in the last
// four bytes.
var isatap = [][4]byte{{0x00, 0x00, 0x5e, 0xfe}, {0x02, 0x00, 0x5e, 0xfe}}

// whyForbidden says what kind of address a run may not reach; "" when it may.
func whyForbidden(addr netip.Addr) string {
	switch {
	case !addr.IsValid():
		return "invalid"
	case addr.Is4In6():
		return "an IPv4 address in IPv6 form"
	case addr.Zone() != "":
		return "link-local"
	case addr.Is6() && !globalUnicast.Contains(addr):
		return "not a public one"
	}
	for _, f := range forbidden {
		if f.prefix.Contains(addr) {
			return f.name
		}
	}
	if b := addr.As16(); addr.Is6() && slices.Contains(isatap, [4]byte(b[8:12])) {
		return "ISATAP"
	}
	return ""
}

// metadataNames are the names under which clouds serve credentials. Their
// addresses are forbidden as well; a resolver may say otherwise.
var metadataNames = []string{
	"metadata.google.internal", "metadata.goog", "metadata", "instance-data", "instance-data.ec2.internal",
	"metadata.azure.internal", "metadata.azure.com", "metadata.packet.net", "metadata.platformequinix.com",
	"metadata.tencentyun.com", "metadata.oraclecloud.com", "rancher-metadata",
}

// whyLocal says why a canonical name is none of a public host; "" when it is.
func whyLocal(name string) string {
	switch {
	case slices.Contains(metadataNames, name):
		return "a metadata server"
	case pyexec.IsLocal(name):
		return "a local one"
	}
	return ""
}

// ownFresh is how long the machine's own addresses are believed.
const ownFresh = 5 * time.Second

// own knows the addresses of this machine, public ones too: what listens on
// them is often meant for the machine alone.
type own struct {
	mu    sync.Mutex
	at    time.Time
	addrs []netip.Addr
}

// has says whether addr is one of them. Where they cannot be read all are.
func (o *own) has(addr netip.Addr) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if time.Since(o.at) > ownFresh {
		found, err := net.InterfaceAddrs()
		if err != nil {
			return true
		}
		o.addrs, o.at = o.addrs[:0], time.Now()
		for _, a := range found {
			if p, err := netip.ParsePrefix(a.String()); err == nil {
				o.addrs = append(o.addrs, p.Addr().Unmap())
			}
		}
	}
	return slices.Contains(o.addrs, addr)
}
