package seccomp

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// What a filter returns (linux/seccomp.h, asm-generic/errno.h).
const (
	retAllow = 0x7fff0000
	retErrno = 0x00050000

	eperm  = 1
	enotty = 25
	enosys = 38
)

var errnos = map[string]uint32{"EPERM": eperm, "ENOTTY": enotty, "ENOSYS": enosys}

func errnoName(action uint32) string {
	if action == retErrno {
		return "skip"
	}
	for name, n := range errnos {
		if action == retErrno|n {
			return name
		}
	}
	return ""
}

// policy is a parsed policy file: for each call its rules, first match wins.
type policy struct {
	fallback uint32 // for calls that no line names
	calls    map[string][]rule
	consts   map[string]uint32
	used     map[string]bool
}

// rule is one line for one call.
type rule struct {
	tests  []test // all must hold; none: always
	action uint32
	reason string
}

// test looks at the low 32 bits of one argument.
type test struct {
	arg    int
	mask   uint32   // taken first, all ones when unused
	values []uint32 // equal to one of them
	atMost bool     // or not above values[0], unsigned
}

// parse reads a policy. Its grammar is described at the top of child.policy.
func parse(file, text string, tags []string) (*policy, error) {
	p := &policy{
		fallback: retErrno | enosys,
		calls:    map[string][]rule{},
		consts:   map[string]uint32{"self": SelfPID},
		used:     map[string]bool{"self": true},
	}
	seen := map[string]bool{}
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if err := p.line(line, tags, seen); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", file, i+1, err)
		}
	}
	for _, tag := range tags {
		if !seen[tag] {
			return nil, fmt.Errorf("%s: no line has the tag %q", file, tag)
		}
	}
	for name := range p.consts {
		if !p.used[name] {
			return nil, fmt.Errorf("%s: %s is never used", file, name)
		}
	}
	for name, rules := range p.calls {
		for i, r := range rules {
			if last := i == len(rules)-1; last != (len(r.tests) == 0) {
				return nil, fmt.Errorf("%s: the last line for %s, and only that, must be without conditions", file, name)
			}
		}
	}
	return p, nil
}

func (p *policy) line(line string, tags []string, seen map[string]bool) error {
	words := strings.Fields(line)
	switch words[0] {
	case "let":
		if len(words) != 4 || words[2] != "=" {
			return fmt.Errorf("want: let NAME = NUMBER")
		}
		n, err := strconv.ParseUint(words[3], 0, 32)
		if err != nil || n == SelfPID || p.has(words[1]) {
			return fmt.Errorf("%s: not a usable number, or named twice", words[1])
		}
		p.consts[words[1]] = uint32(n)
		return nil
	case "default":
		if len(words) != 2 || words[1] != "allow" && words[1] != "ENOSYS" {
			return fmt.Errorf("want: default allow, or default ENOSYS")
		}
		if words[1] == "allow" {
			p.fallback = retAllow
		}
		return nil
	}
	head, reason, ok := strings.Cut(line, " : ")
	if reason = strings.TrimSpace(reason); !ok || reason == "" {
		return fmt.Errorf("every line gives its reason after a colon")
	}
	words = strings.Fields(head)
	r := rule{reason: reason}
	switch words[0] {
	case "allow":
		r.action = retAllow
	case "refuse":
		r.action = retErrno | eperm
	case "skip":
		r.action = retErrno
	case "absent":
		r.action = retErrno | enosys
	case "errno":
		if len(words) < 3 || errnos[words[1]] == 0 {
			return fmt.Errorf("unknown error in %q", head)
		}
		r.action = retErrno | errnos[words[1]]
		words = words[1:]
	default:
		return fmt.Errorf("unknown verb %q", words[0])
	}
	words = words[1:]
	skip := false
	if n := len(words); n > 2 && (words[n-2] == "with" || words[n-2] == "without") {
		seen[words[n-1]] = true
		skip = slices.Contains(tags, words[n-1]) != (words[n-2] == "with")
		words = words[:n-2]
	}
	names := words
	if i := slices.Index(words, "when"); i >= 0 {
		names = words[:i]
		var err error
		if r.tests, err = p.tests(words[i+1:]); err != nil {
			return err
		}
	}
	if len(names) == 0 {
		return fmt.Errorf("names no call")
	}
	for _, name := range names {
		if !known(name) {
			return fmt.Errorf("no architecture has a call %q", name)
		}
		if skip {
			continue
		}
		if old := p.calls[name]; len(old) > 0 && len(old[len(old)-1].tests) == 0 {
			return fmt.Errorf("an earlier line already decides %s", name)
		}
		p.calls[name] = append(p.calls[name], r)
	}
	return nil
}

// tests reads "argN [masked M | except M] is|has|within|at-most V [and ...]".
func (p *policy) tests(words []string) ([]test, error) {
	var out []test
	for {
		if len(words) < 3 || len(words[0]) != 4 || words[0][:3] != "arg" || words[0][3] < '0' || words[0][3] > '5' {
			return nil, fmt.Errorf("bad condition %q", strings.Join(words, " "))
		}
		t := test{arg: int(words[0][3] - '0'), mask: 0xffffffff}
		words = words[1:]
		if words[0] == "masked" || words[0] == "except" {
			m, err := p.values(words[1])
			if err != nil || len(words) < 4 {
				return nil, fmt.Errorf("bad mask: %w", err)
			}
			t.mask = union(m)
			if words[0] == "except" {
				t.mask = ^t.mask
			}
			words = words[2:]
		}
		v, err := p.values(words[1])
		if err != nil {
			return nil, err
		}
		switch words[0] {
		case "is":
			t.values = v
		case "has":
			t.mask, t.values = union(v), []uint32{union(v)}
		case "within":
			t.mask, t.values = ^union(v), []uint32{0}
		case "at-most":
			t.values, t.atMost = v[:1], true
		default:
			return nil, fmt.Errorf("unknown comparison %q", words[0])
		}
		out = append(out, t)
		if words = words[2:]; len(words) == 0 {
			return out, nil
		}
		if words[0] != "and" {
			return nil, fmt.Errorf("expected \"and\", got %q", words[0])
		}
		words = words[1:]
	}
}

func (p *policy) values(list string) ([]uint32, error) {
	var out []uint32
	for _, w := range strings.Split(list, "|") {
		if v, ok := p.consts[w]; ok {
			p.used[w] = true
			out = append(out, v)
			continue
		}
		n, err := strconv.ParseUint(w, 0, 32)
		if err != nil || n == SelfPID {
			return nil, fmt.Errorf("%q is neither a number nor named by a let", w)
		}
		out = append(out, uint32(n))
	}
	return out, nil
}

func union(v []uint32) (m uint32) {
	for _, x := range v {
		m |= x
	}
	return m
}

func (p *policy) has(name string) bool {
	_, ok := p.consts[name]
	return ok
}
