package auth_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"

	"github.com/python-code-executor/pyexec"
	"github.com/python-code-executor/pyexec/internal/auth"
)

// shown is a secret in every way in which something could print it.
func shown(s pyexec.Secret) []string {
	var b strings.Builder
	slog.New(slog.NewJSONHandler(&b, nil)).Info("x", "a", s, "b", []any{s}, "c", &s)
	slog.New(slog.NewTextHandler(&b, nil)).Info("x", "a", s, "b", []any{s})
	encoded, err := json.Marshal(map[string]any{"a": s, "b": &s})
	return []string{b.String(), fmt.Sprintf("%v %s %q %+v %#v %x %v", s, s, s, s, s, s, err), string(encoded)}
}

func TestClientAddress(t *testing.T) {
	for _, tt := range []struct {
		remote    string
		forwarded []string
		proxies   int
		want      string
	}{
		{"192.0.2.1:5", nil, 0, "192.0.2.1"},
		{"192.0.2.1:5", []string{"198.51.100.7"}, 0, "192.0.2.1"}, // nobody is trusted
		{"192.0.2.1:5", []string{"198.51.100.7"}, 1, "198.51.100.7"},
		{"192.0.2.1:5", []string{"1.1.1.1, 198.51.100.7"}, 1, "198.51.100.7"}, // the first is the client's invention
		{"192.0.2.1:5", []string{"1.1.1.1", "198.51.100.7,203.0.113.1"}, 2, "198.51.100.7"},
		{"192.0.2.1:5", []string{"198.51.100.7"}, 2, "192.0.2.1"}, // it evaded a proxy
		{"192.0.2.1:5", nil, 1, "192.0.2.1"},
		{"192.0.2.1:5", []string{"unknown"}, 1, "192.0.2.1"},
		{"192.0.2.1:5", []string{"198.51.100.7:443"}, 1, "198.51.100.7"},
		{"192.0.2.1:5", []string{"[2001:db8:1:2:3::4]:443"}, 1, "2001:db8:1:2::/64"},
		{"192.0.2.1:5", []string{"[2001:db8:1:2:3::4]"}, 1, "2001:db8:1:2::/64"},
		{"[2001:db8:1:2:3::4]:5", nil, 0, "2001:db8:1:2::/64"},
		{"[::ffff:192.0.2.1]:5", nil, 0, "192.0.2.1"},
		{"[::1]:5", nil, 0, "::1"},
		{"[fe80::1%eth0]:5", nil, 0, "fe80::/64"},
		{"@", nil, 1, "@"},
	} {
		if got := auth.ClientAddress(tt.remote, tt.forwarded, tt.proxies); got != tt.want {
			t.Errorf("ClientAddress(%q, %q, %d) is %q, want %q", tt.remote, tt.forwarded, tt.proxies, got, tt.want)
		}
	}
}

// FuzzClientAddress: whatever a client sends, it is an address, and one that
// stands before the proxies' own entries changes nothing.
func FuzzClientAddress(f *testing.F) {
	for _, s := range []string{"", "1.1.1.1", "::1, [::2]:80", ",,", "1.1.1.1:x", "fe80::1%a,b", "\x00"} {
		f.Add(s, 1)
	}
	f.Fuzz(func(t *testing.T, s string, proxies int) {
		proxies %= 10
		got := auth.ClientAddress("192.0.2.1:5", []string{s}, proxies)
		if _, err := netip.ParseAddr(got); err != nil {
			if _, err := netip.ParsePrefix(got); err != nil {
				t.Errorf("%q is no address", got)
			}
		}
		if proxies == 1 {
			if again := auth.ClientAddress("192.0.2.1:5", []string{s, "198.51.100.7"}, 1); again != "198.51.100.7" {
				t.Errorf("%q before the proxy's own word makes the address %q", s, again)
			}
		}
	})
}

// FuzzParseFile: no text makes a key without an id, or a caller without a name.
func FuzzParseFile(f *testing.F) {
	for _, s := range []string{
		"", "callers:\n", "callers:\n  - name: a\n    rate: 1/s\n    keys:\n      - {id: abcd, sha256: " + hash + "}\n",
		"callers: [{name: a, memory: 64MB, subjects: [x]}]", "a: &a [*a]", "callers: [{name: !!binary aGk=}]", "? [a]: b", "--- a\n--- b",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		file, err := auth.ParseFile(text, auth.Check{Limits: pyexec.DefaultLimits(), Policy: "standard"})
		if err != nil {
			return
		}
		for _, e := range file.Callers {
			if auth.CheckName(e.Caller.Name) != nil || e.Caller.Policy == "off" || e.Caller.Memory > pyexec.DefaultLimits().Memory {
				t.Errorf("%q gives %+v", text, e.Caller)
			}
			for _, k := range e.Keys {
				if k.ID == "" {
					t.Errorf("%q gives a key without id", text)
				}
			}
		}
	})
}
