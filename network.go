package pyexec

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Allow is what a run may reach over the network: nothing, when it is empty.
type Allow []Destination

// Destination is one rule of an [Allow]: some hosts and a port of theirs.
type Destination struct {
	Host       string // canonical, a name or an address; "" with Public
	Subdomains bool   // the names below Host, and not Host itself
	Public     bool   // every public host
	Port       uint16 // 0: 80 and 443
}

// publicWord is the rule for every public host.
const publicWord = "public"

// ParseDestination reads HOST, *.HOST or public, each with or without :PORT.
func ParseDestination(s string) (Destination, error) {
	switch {
	case s == "":
		return Destination{}, errors.New("is empty; write a host such as api.example.com, *.example.com or public")
	case strings.Contains(s, "/"):
		return Destination{}, fmt.Errorf("%q is a URL or a range; write the host alone, such as api.example.com or api.example.com:8443", clipped(s))
	case s == "*":
		return Destination{}, errors.New(`"*" is no rule; write public for every public host`)
	}
	host, port, err := splitPort(s)
	if err != nil {
		return Destination{}, err
	}
	if strings.EqualFold(host, publicWord) {
		return Destination{Public: true, Port: port}, nil
	}
	below, subdomains := strings.CutPrefix(host, "*.")
	canonical, err := CanonicalHost(below)
	if err != nil {
		return Destination{}, fmt.Errorf("%q: %w", clipped(s), err)
	}
	if _, err := netip.ParseAddr(canonical); err == nil && subdomains {
		return Destination{}, fmt.Errorf("%q: an address has no subdomains", clipped(s))
	}
	if !subdomains && (canonical == publicWord || canonical == NoNetwork) {
		return Destination{}, fmt.Errorf("%q: %s and %s are words of the rules, the second alone and without a port, and no hosts", clipped(s), publicWord, NoNetwork)
	}
	return Destination{Host: canonical, Subdomains: subdomains, Port: port}, nil
}

// NoNetwork is the text of an [Allow] without rules.
const NoNetwork = "none"

// ParseAllow reads rules with commas between, or none. The error names every
// rule that is none.
func ParseAllow(s string) (Allow, error) {
	all := Allow{}
	if s == NoNetwork {
		return all, nil
	}
	var problems []error
	for part := range strings.SplitSeq(s, ",") {
		d, err := ParseDestination(strings.TrimSpace(part))
		if err != nil {
			problems = append(problems, err)
		}
		all = append(all, d)
	}
	return all, errors.Join(problems...)
}

// splitPort takes an optional port off; an IPv6 address stands in brackets.
func splitPort(s string) (host string, port uint16, err error) {
	host, digits, found := s, "", false
	if rest, bracket := strings.CutPrefix(s, "["); bracket {
		address, after, closed := strings.Cut(rest, "]")
		if !closed || after != "" && after[0] != ':' || !strings.Contains(address, ":") {
			return "", 0, fmt.Errorf("%q is not [ADDRESS] or [ADDRESS]:PORT", clipped(s))
		}
		host = address
		digits, found = strings.CutPrefix(after, ":")
	} else {
		host, digits, found = strings.Cut(s, ":")
		if strings.Contains(digits, ":") {
			return "", 0, fmt.Errorf("%q: an IPv6 address is written in brackets, such as [2606:4700::1111]:443", clipped(s))
		}
	}
	if !found {
		return host, 0, nil
	}
	port, ok := parsePort(digits)
	if !ok {
		return "", 0, fmt.Errorf("%q: the port must be a number between 1 and 65535", clipped(s))
	}
	return host, port, nil
}

// parsePort reads a port as digits alone: no sign, no leading zero.
func parsePort(s string) (uint16, bool) {
	n, err := strconv.ParseUint(s, 10, 16)
	return uint16(n), err == nil && n > 0 && strconv.FormatUint(n, 10) == s
}

// CanonicalHost is the one form of a host's name or address: names in lower
// case without the dot at the end, addresses as netip writes them. All else is
// an error: other spellings of addresses (0x7f.1, 2130706433), zones, escapes,
// and characters that no host name has.
func CanonicalHost(s string) (string, error) {
	if addr, err := netip.ParseAddr(s); err == nil {
		if addr.Zone() != "" {
			return "", errors.New("an address may not have a zone")
		}
		return addr.String(), nil
	}
	name := strings.TrimSuffix(s, ".")
	if strings.IndexFunc(name, func(r rune) bool { return r >= utf8.RuneSelf }) < 0 {
		name = strings.ToLower(name) // which makes ASCII letters of some others, as of the Kelvin sign
	}
	if len(name) > 253 || name == "" {
		return "", errors.New("a host's name has between 1 and 253 characters")
	}
	labels := strings.Split(name, ".")
	for _, label := range labels {
		if !isLabel(label) {
			return "", errors.New("a host's name is letters, digits and hyphens with dots between; write other alphabets in their xn-- form")
		}
	}
	// What ends in a number is read as an IPv4 address by many, in octal,
	// hexadecimal or with parts left out: nobody is to read it differently.
	last := labels[len(labels)-1]
	if strings.Trim(last, "0123456789") == "" || strings.HasPrefix(last, "0x") {
		return "", errors.New("an IPv4 address is four decimal numbers without leading zeros, such as 93.184.216.34")
	}
	return name, nil
}

func isLabel(s string) bool {
	if s == "" || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	return strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-_") == ""
}

// clipped bounds what of an input is repeated in a message.
func clipped(s string) string {
	const most = 100
	if len(s) <= most {
		return s
	}
	return s[:most] + "..."
}

// String is the text that ParseDestination reads.
func (d Destination) String() string {
	host := d.Host
	switch {
	case d.Public:
		host = publicWord
	case d.Subdomains:
		host = "*." + host
	case strings.Contains(host, ":"):
		host = "[" + host + "]"
	}
	if d.Port == 0 {
		return host
	}
	return host + ":" + strconv.Itoa(int(d.Port))
}

// String lists the rules with commas between.
func (a Allow) String() string {
	words := make([]string, len(a))
	for i, d := range a {
		words[i] = d.String()
	}
	return strings.Join(words, ",")
}

// Permits says whether a canonical host may be reached at a port. Whether its
// address may be is for who connects to it.
func (a Allow) Permits(host string, port uint16) bool {
	one := Destination{Host: host, Port: port}
	return slices.ContainsFunc(a, func(d Destination) bool { return d.hasPort(port) && d.hasHosts(one) })
}

// Covers says whether all that d names is allowed: a request may narrow what
// it may reach, and not widen it. Local names are not among the public ones:
// who may reach one has it named by the operator.
func (a Allow) Covers(d Destination) bool {
	if slices.ContainsFunc(a, func(rule Destination) bool {
		named := rule.hasHosts(d) && (!rule.Public || !d.isLocal())
		return named && (rule.Port == d.Port || d.Port != 0 && rule.hasPort(d.Port))
	}) {
		return true
	}
	if d.Port != 0 {
		return false
	}
	plain, tls := d, d
	plain.Port, tls.Port = 80, 443
	return a.Covers(plain) && a.Covers(tls)
}

func (d Destination) hasPort(port uint16) bool {
	return d.Port == port || d.Port == 0 && (port == 80 || port == 443)
}

func (d Destination) isLocal() bool {
	if d.Subdomains {
		return IsLocal("any." + d.Host)
	}
	return !d.Public && IsLocal(d.Host)
}

// localNames are the endings of names that mean something inside one network
// only; so do names without a dot.
var localNames = []string{
	"localhost", "localdomain", "local", "internal", "intranet", "lan", "home", "corp", "private",
	"home.arpa", "test", "invalid", "onion", "svc", "consul",
}

// IsLocal says whether a canonical host is a name of no public host.
func IsLocal(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return false
	}
	return !strings.Contains(host, ".") || slices.ContainsFunc(localNames, func(end string) bool { return strings.HasSuffix(host, "."+end) })
}

// hasHosts says whether every host of other is one of d.
func (d Destination) hasHosts(other Destination) bool {
	switch {
	case d.Public:
		return true
	case other.Public:
		return false
	case d.Subdomains:
		return strings.HasSuffix(other.Host, "."+d.Host) || other.Subdomains && other.Host == d.Host
	}
	return !other.Subdomains && other.Host == d.Host
}
