package pyexec_test

import (
	"strings"
	"testing"

	"github.com/python-code-executor/pyexec"
)

func TestParseDestination(t *testing.T) {
	for text, want := range map[string]string{
		"api.example.com": "", "API.Example.com.": "api.example.com", "*.example.com:8443": "", "public": "", "Public:80": "public:80",
		"93.184.216.34": "", "[2606:4700::1111]:443": "", "[2606:4700:0:0::1111]": "[2606:4700::1111]", "xn--bcher-kva.example": "", "a_b.example.com": "", "localhost": "",
	} {
		if want == "" {
			want = text
		}
		d, err := pyexec.ParseDestination(text)
		if err != nil || d.String() != want {
			t.Errorf("%q is %q, %v; want %q", text, d, err, want)
		}
		if again, err := pyexec.ParseDestination(d.String()); err != nil || again != d {
			t.Errorf("%q does not come back: %v, %v", d, again, err)
		}
	}
	for text, want := range map[string]string{
		"": "is empty", "*": "write public", "http://x.example.com": "is a URL", "x.example.com/a": "is a URL", "10.0.0.0/8": "a range",
		"x.example.com:": "the port", "x.example.com:0": "the port", "x.example.com:65536": "the port", "x.example.com:080": "the port", "x.example.com:+80": "the port",
		"a..b": "letters, digits", ".example.com": "letters, digits", "-a.example.com": "letters, digits", "a.*.com": "letters, digits", "*example.com": "letters, digits",
		"b\u00fccher.example": "xn-- form", "a b": "letters, digits", "u@example.com": "letters, digits", "127.1": "four decimal", "0x7f.0.0.1": "four decimal", "2130706433": "four decimal",
		"0177.0.0.1": "four decimal", "1.2.3.4.": "four decimal", "*.1.2.3.4": "no subdomains", "*.[::1]": "brackets", "::1": "brackets", "[::1": "is not [ADDRESS]", "[::1]80": "is not [ADDRESS]",
		"[127.0.0.1]": "is not [ADDRESS]", "[fe80::1%eth0]": "zone", "*.": "between 1 and 253", strings.Repeat("a.", 130) + "com": "between 1 and 253", strings.Repeat("a", 64) + ".com": "letters, digits",
	} {
		if d, err := pyexec.ParseDestination(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is %q, %v; want an error with %q", text, d, err, want)
		}
	}
}

func allow(t *testing.T, text string) pyexec.Allow {
	t.Helper()
	a, err := pyexec.ParseAllow(text)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestPermits(t *testing.T) {
	rules := allow(t, "api.example.com,*.example.org,db.example.net:5432,93.184.216.34:80")
	for _, c := range []struct {
		host string
		port uint16
		want bool
	}{
		{"api.example.com", 80, true},
		{"api.example.com", 443, true},
		{"api.example.com", 8080, false},
		{"x.api.example.com", 443, false},
		{"example.com", 443, false},
		{"a.example.org", 443, true},
		{"a.b.example.org", 443, true},
		{"example.org", 443, false},
		{"badexample.org", 443, false},
		{"a.example.org.evil.com", 443, false},
		{"db.example.net", 5432, true},
		{"db.example.net", 443, false},
		{"93.184.216.34", 80, true},
		{"93.184.216.34", 443, false},
		{"93.184.216.35", 80, false},
	} {
		if got := rules.Permits(c.host, c.port); got != c.want {
			t.Errorf("%s:%d: %v", c.host, c.port, got)
		}
	}
	if (pyexec.Allow{}).Permits("api.example.com", 443) {
		t.Error("without rules something is permitted")
	}
	if !allow(t, "public").Permits("anything.example", 443) || allow(t, "public").Permits("anything.example", 22) {
		t.Error("public")
	}
}

// TestCovers: what is covered permits nothing that its cover does not.
func TestCovers(t *testing.T) {
	rules := []string{
		"api.example.com", "api.example.com:80", "api.example.com:443", "api.example.com:8443", "*.example.com", "*.example.com:8443", "*.api.example.com",
		"example.com", "public", "public:80", "public:8443", "93.184.216.34", "*.com",
	}
	hosts := []string{"example.com", "api.example.com", "x.api.example.com", "x.example.com", "other.net", "93.184.216.34"}
	ports := []uint16{22, 80, 443, 8443}
	for _, wide := range rules {
		for _, narrow := range rules {
			w, n := allow(t, wide), allow(t, narrow)
			within := true
			for _, host := range hosts {
				for _, port := range ports {
					within = within && (!n.Permits(host, port) || w.Permits(host, port))
				}
			}
			if got := w.Covers(n[0]); got != within {
				t.Errorf("%s covers %s: %v, and within it: %v", wide, narrow, got, within)
			}
		}
	}
	for _, local := range []string{"db.internal", "*.internal", "*.db.internal", "printer.local:80", "redis", "*.svc"} {
		if allow(t, "public")[:1].Covers(allow(t, local)[0]) {
			t.Errorf("public covers %s", local)
		}
		if !allow(t, "public,"+local).Covers(allow(t, local)[0]) {
			t.Errorf("%s does not cover itself beside public", local)
		}
	}
	if both := allow(t, "a.example.com:80,a.example.com:443"); !both.Covers(allow(t, "a.example.com")[0]) {
		t.Error("two ports do not cover the rule that stands for both")
	}
}

func FuzzParseDestination(f *testing.F) {
	for _, s := range []string{"api.example.com:80", "*.a.b", "[::1]:1", "public", "0x7f.1", "a..b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := pyexec.ParseDestination(s)
		if err != nil {
			return
		}
		if again, err := pyexec.ParseDestination(d.String()); err != nil || again != d {
			t.Errorf("%q is %+v, which comes back as %+v, %v", s, d, again, err)
		}
		if strings.ContainsAny(d.Host, "/@%\\ \x00") {
			t.Errorf("%q is the host %q", s, d.Host)
		}
	})
}
