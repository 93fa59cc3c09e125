package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/python-code-executor/pyexec"
)

// The kinds of values: each makes a setting's set function from where the
// value goes and what it may be.

func text(at func(*Config) *string, check func(string) error) func(*Config, string) error {
	return func(c *Config, s string) error {
		if !utf8.ValidString(s) { // no file could say it
			return fmt.Errorf("%q is not UTF-8", s)
		}
		if check != nil {
			if err := check(s); err != nil {
				return err
			}
		}
		*at(c) = s
		return nil
	}
}

func oneOf(at func(*Config) *string, known ...string) func(*Config, string) error {
	return text(at, func(s string) error {
		if !slices.Contains(known, s) {
			return fmt.Errorf("%q is not one of %s", s, strings.Join(known, ", "))
		}
		return nil
	})
}

func number(at func(*Config) *int, least, most int) func(*Config, string) error {
	return func(c *Config, s string) error {
		n, err := strconv.Atoi(s)
		if err != nil {
			return fmt.Errorf("%q is not an integer", s)
		}
		if n < least || n > most {
			return fmt.Errorf("%d is not between %d and %d", n, least, most)
		}
		*at(c) = n
		return nil
	}
}

func duration(at func(*Config) *time.Duration, least, most time.Duration) func(*Config, string) error {
	return func(c *Config, s string) error {
		d, err := time.ParseDuration(s)
		if err != nil {
			return fmt.Errorf("%q is not a duration such as 10s or 1m30s", s)
		}
		if d < least || d > most {
			return fmt.Errorf("%v is not between %v and %v", d, least, most)
		}
		*at(c) = d
		return nil
	}
}

func size(at func(*Config) *pyexec.Bytes, least, most pyexec.Bytes) func(*Config, string) error {
	return func(c *Config, s string) error {
		b, err := ParseBytes(s)
		if err != nil {
			return err
		}
		if b < least || b > most {
			return fmt.Errorf("%v is not between %v and %v", b, least, most)
		}
		*at(c) = b
		return nil
	}
}

func list(at func(*Config) *[]string, check func([]string) error) func(*Config, string) error {
	return func(c *Config, s string) error {
		var all []string
		var problems []error
		for part := range strings.SplitSeq(s, ",") {
			part = strings.TrimSpace(part)
			if strings.Trim(part, "abcdefghijklmnopqrstuvwxyz0123456789_-") != "" {
				problems = append(problems, fmt.Errorf("%q is not a name", part))
			}
			if part != "" {
				all = append(all, part)
			}
		}
		*at(c) = all
		if len(problems) == 0 && check != nil {
			return check(all)
		}
		return errors.Join(problems...)
	}
}

// rules reads what may be reached; none and the empty text are nothing.
func rules(at func(*Config) *pyexec.Allow) func(*Config, string) error {
	return func(c *Config, s string) error {
		if s == "" || s == pyexec.NoNetwork {
			return nil
		}
		all, err := pyexec.ParseAllow(s)
		*at(c) = all
		return err
	}
}

// words are separated by commas or blanks, and may be whatever a provider
// calls its scopes.
func words(at func(*Config) *[]string, check func(string) error) func(*Config, string) error {
	return func(c *Config, s string) error {
		var problems []error
		for _, word := range strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' }) {
			if strings.ContainsFunc(word, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }) {
				problems = append(problems, fmt.Errorf("%q is not a word of printable ASCII without quotes", word))
			} else if check != nil {
				problems = append(problems, check(word))
			}
			*at(c) = append(*at(c), word)
		}
		return errors.Join(problems...)
	}
}

func boolean(at func(*Config) *bool) func(*Config, string) error {
	return func(c *Config, s string) error {
		switch s {
		case "true", "false":
			*at(c) = s == "true"
			return nil
		}
		return fmt.Errorf("%q is neither true nor false", s)
	}
}

func rate(at func(*Config) *pyexec.Rate) func(*Config, string) error {
	return func(c *Config, s string) (err error) {
		*at(c), err = pyexec.ParseRate(s)
		return err
	}
}

func notEmpty(s string) error {
	if s == "" {
		return errors.New("is empty")
	}
	return nil
}

// units are powers of 1024 in every spelling, as memory_mb and limit_mb are.
var units = map[string]pyexec.Bytes{
	"": 1, "B": 1,
	"K": pyexec.KiB, "KB": pyexec.KiB, "KIB": pyexec.KiB,
	"M": pyexec.MiB, "MB": pyexec.MiB, "MIB": pyexec.MiB,
	"G": pyexec.GiB, "GB": pyexec.GiB, "GIB": pyexec.GiB,
}

// ParseBytes reads a size such as 512MB, 1 GiB or 65536. MB and MiB are both
// 2^20 bytes.
func ParseBytes(s string) (pyexec.Bytes, error) {
	digits := strings.TrimLeft(s, "0123456789")
	digits = s[:len(s)-len(digits)]
	unit, ok := units[strings.ToUpper(strings.TrimPrefix(s[len(digits):], " "))]
	n, err := strconv.ParseInt(digits, 10, 64)
	if !ok || err != nil {
		return 0, fmt.Errorf("%q is not a size such as 512MB or 1GiB", s)
	}
	if n > int64(1<<62/unit) {
		return 0, fmt.Errorf("%q is too large", s)
	}
	return pyexec.Bytes(n) * unit, nil
}

func isLevel(s string) error {
	if s != "" && !slices.Contains(Levels, s) {
		return fmt.Errorf("%q is not one of %s", s, strings.Join(Levels, ", "))
	}
	return nil
}

func isAddr(s string) error {
	_, port, err := net.SplitHostPort(s)
	if err != nil {
		return fmt.Errorf("%q is not HOST:PORT", s)
	}
	return isPort(port)
}

func isMetricsAddr(s string) error {
	if s == "auto" || s == "main" || s == "off" {
		return nil
	}
	if err := isAddr(s); err != nil {
		return fmt.Errorf("%w, nor auto, main or off", err)
	}
	return nil
}

func isPort(s string) error {
	if n, err := strconv.ParseUint(s, 10, 16); err != nil || strconv.FormatUint(n, 10) != s {
		return fmt.Errorf("%q is not a port between 0 and 65535", s)
	}
	return nil
}

// isIsolation checks the form. Whether a layer exists is not known here.
func isIsolation(names []string) error {
	if len(names) == 0 {
		return errors.New("is empty; the weakest level is seccomp")
	}
	for _, name := range names {
		if len(names) > 1 && slices.Contains(Levels, name) && name != "landlock" && name != "seccomp" { // those are layers as well
			return errors.New("give one level, or only layers")
		}
	}
	return nil
}

func isHost(s string) error {
	if s != "*" && (s != strings.ToLower(s) || strings.ContainsAny(s, "*:/")) {
		return fmt.Errorf("%q is not a name such as api.example.com, in small letters and without a port", s)
	}
	return nil
}

func isOrigin(s string) error {
	if u, err := url.Parse(s); s != "*" && (err != nil || u.Host == "" || u.Scheme+"://"+u.Host != s || strings.Contains(s, "*")) {
		return fmt.Errorf("%q is not an origin such as https://example.com, without a path", s)
	}
	return nil
}
