package auth

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/python-code-executor/pyexec"
	"github.com/python-code-executor/pyexec/internal/config"
)

// File is the content of a keys file.
type File struct {
	Callers []Entry
}

// Entry is one caller, with what shows that a request is his.
type Entry struct {
	Caller   pyexec.Caller
	Keys     []Key
	Subjects []string // of tokens
}

// Check is what a caller's limits are held against. Where it is zero, as for
// who only edits the file, nothing is.
type Check struct {
	Limits    pyexec.Limits
	Policy    string
	Isolation func(string) error // whether the text names isolation at all
	Allow     *pyexec.Allow      // what the server's runs may reach
}

// ParseFile reads a keys file. The error names every problem, with its line.
func ParseFile(text []byte, check Check) (File, error) {
	p := parser{check: check, ids: map[string]bool{}, names: map[string]bool{}, subjects: map[string]bool{}}
	var doc, next yaml.Node
	read := yaml.NewDecoder(bytes.NewReader(text))
	if err := read.Decode(&doc); err != nil && !errors.Is(err, io.EOF) {
		return File{}, errors.New(strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if err := read.Decode(&next); err == nil {
		p.problem(&next, "a second document begins; all callers belong in one")
	} else if !errors.Is(err, io.EOF) {
		return File{}, errors.New(strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if len(doc.Content) == 1 && !empty(doc.Content[0]) {
		p.mapping(doc.Content[0], "the file", map[string]func(*yaml.Node){
			"callers": func(n *yaml.Node) { p.list(n, "callers", p.caller) },
		})
	}
	return p.file, errors.Join(p.problems...)
}

func empty(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

type parser struct {
	check    Check
	file     File
	problems []error

	ids, names, subjects map[string]bool // that are taken
}

func (p *parser) problem(n *yaml.Node, format string, args ...any) {
	p.problems = append(p.problems, fmt.Errorf("line %d: "+format, append([]any{n.Line}, args...)...))
}

// mapping calls the function of each key, of which every one must be known.
func (p *parser) mapping(n *yaml.Node, what string, known map[string]func(*yaml.Node)) {
	if n.Kind != yaml.MappingNode {
		p.problem(n, "%s must have keys and values", what)
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		read, ok := known[key.Value]
		switch {
		case !ok:
			names := []string{}
			for name := range known {
				names = append(names, name)
			}
			slices.Sort(names)
			p.problem(key, "%s has no %q; it has %s", what, key.Value, strings.Join(names, ", "))
		case seen[key.Value]:
			p.problem(key, "%q is there twice", key.Value)
		default:
			seen[key.Value] = true
			read(value)
		}
	}
}

func (p *parser) list(n *yaml.Node, what string, each func(*yaml.Node)) {
	if empty(n) {
		return
	}
	if n.Kind != yaml.SequenceNode {
		p.problem(n, "%s must be a list", what)
		return
	}
	for _, item := range n.Content {
		each(item)
	}
}

// text reads a scalar by read, whose error it reports.
func (p *parser) text(name string, read func(string) error) func(*yaml.Node) {
	return func(n *yaml.Node) {
		if n.Kind != yaml.ScalarNode {
			p.problem(n, "%s must be a word", name)
		} else if err := read(n.Value); err != nil {
			p.problem(n, "%s: %v", name, err)
		}
	}
}

var goodName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9._-]{0,62}$`)

func (p *parser) caller(n *yaml.Node) {
	var e Entry
	known := map[string]func(*yaml.Node){
		"name": p.text("name", func(s string) error { return p.name(&e.Caller, s) }),
		"keys": func(n *yaml.Node) {
			p.list(n, "keys", func(n *yaml.Node) { p.key(n, &e) })
		},
		"subjects": func(n *yaml.Node) {
			p.list(n, "subjects", p.text("subjects", func(s string) error { return p.subject(&e, s) }))
		},
	}
	for name, set := range limits {
		known[name] = p.text(name, func(s string) error { return set(&e.Caller, s, p.check) })
	}
	p.mapping(n, "a caller", known)
	switch {
	case n.Kind != yaml.MappingNode:
	case e.Caller.Name == "" && len(p.problems) == 0:
		p.problem(n, "a caller needs a name")
	case e.Caller.Rate.Burst > 0 && e.Caller.Rate.Count == 0:
		p.problem(n, "burst: there is no rate that it belongs to")
	}
	p.file.Callers = append(p.file.Callers, e)
}

func (p *parser) name(c *pyexec.Caller, s string) error {
	if err := CheckName(s); err != nil {
		return err
	}
	if p.names[s] {
		return fmt.Errorf("there are two callers %q", s)
	}
	p.names[s] = true
	c.Name = s
	return nil
}

// CheckName says what is wrong with a caller's name: it must not be taken for
// an address or a subject.
func CheckName(s string) error {
	if !goodName.MatchString(s) {
		return fmt.Errorf("%q is not a letter and then at most 62 letters, digits, dots, _ or -", s)
	}
	return nil
}

func (p *parser) subject(e *Entry, s string) error {
	switch {
	case !goodSubject(s):
		return fmt.Errorf("%.100q is not 1 to 255 bytes of text without control and format characters", s)
	case p.subjects[s]:
		return fmt.Errorf("%q belongs to two callers", s)
	}
	p.subjects[s] = true
	e.Subjects = append(e.Subjects, s)
	return nil
}

// limits are the settings of a caller; each may only lower the server's.
var limits = map[string]func(c *pyexec.Caller, s string, check Check) error{
	"rate": func(c *pyexec.Caller, s string, _ Check) error {
		r, err := pyexec.ParseRate(s)
		if err == nil && r.Count == 0 {
			err = errors.New("0 would be no bound: leave it out for the server's")
		}
		c.Rate.Count, c.Rate.Per = r.Count, r.Per
		return err
	},
	"burst": func(c *pyexec.Caller, s string, _ Check) (err error) {
		c.Rate.Burst, err = positive(s, pyexec.MaxRate)
		return err
	},
	"concurrency": func(c *pyexec.Caller, s string, _ Check) (err error) {
		c.Concurrency, err = positive(s, 100_000)
		return err
	},
	"timeout": func(c *pyexec.Caller, s string, check Check) (err error) {
		c.Timeout, err = time.ParseDuration(s)
		switch most := check.Limits.Timeout; {
		case err != nil || c.Timeout < time.Millisecond:
			return fmt.Errorf("%q is not a duration such as 10s, of at least 1ms", s)
		case most > 0 && c.Timeout > most:
			return fmt.Errorf("%v is more than the server's %v, which it may only lower", c.Timeout, most)
		}
		return nil
	},
	"memory": func(c *pyexec.Caller, s string, check Check) (err error) {
		c.Memory, err = config.ParseBytes(s)
		least, most := pyexec.DefaultLimits().MinMemory, check.Limits.Memory
		switch {
		case err != nil:
			return err
		case c.Memory < least:
			return fmt.Errorf("%v is less than %v", c.Memory, least)
		case most > 0 && c.Memory > most:
			return fmt.Errorf("%v is more than the server's %v, which it may only lower", c.Memory, most)
		}
		return nil
	},
	"policy": func(c *pyexec.Caller, s string, check Check) error {
		c.Policy = s
		switch {
		case !slices.Contains(pyexec.Policies, s):
			return fmt.Errorf("%q is not one of %s", s, strings.Join(pyexec.Policies, ", "))
		case check.Policy != "" && pyexec.Stricter(s, check.Policy) != s:
			return fmt.Errorf("%s is less strict than the server's %s", s, check.Policy)
		}
		return nil
	},
	"egress": func(c *pyexec.Caller, s string, check Check) (err error) {
		if c.Allow, err = pyexec.ParseAllow(s); err != nil || check.Allow == nil {
			return err
		}
		for _, rule := range c.Allow {
			if !check.Allow.Covers(rule) {
				return fmt.Errorf("%s is not within the server's --egress, which it may only narrow", rule)
			}
		}
		return nil
	},
	"isolation": func(c *pyexec.Caller, s string, check Check) error {
		c.Isolation = s
		if check.Isolation == nil {
			return nil
		}
		return check.Isolation(s)
	},
}

func positive(s string, most int) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > most {
		return 0, fmt.Errorf("%q is not an integer between 1 and %d", s, most)
	}
	return n, nil
}

func (p *parser) key(n *yaml.Node, e *Entry) {
	var k Key
	hashed := false
	before := len(p.problems)
	p.mapping(n, "a key", map[string]func(*yaml.Node){
		"id": p.text("id", func(s string) error {
			if !goodKeyID.MatchString(s) {
				return fmt.Errorf("%q is not 4 to 32 small letters and digits", s)
			}
			if p.ids[s] {
				return fmt.Errorf("there are two keys %q", s)
			}
			p.ids[s] = true
			k.ID = s
			return nil
		}),
		"sha256": p.text("sha256", func(s string) error {
			b, err := hex.DecodeString(s)
			if err != nil || len(b) != len(k.Hash) {
				return errors.New("is not the 64 hexadecimal digits that pyexec keys create writes")
			}
			copy(k.Hash[:], b)
			hashed = true
			return nil
		}),
		"created": p.text("created", func(s string) (err error) { k.Created, err = parseTime(s); return err }),
		"expires": p.text("expires", func(s string) (err error) { k.Expires, err = parseTime(s); return err }),
		"note":    p.text("note", func(s string) error { k.Note = s; return nil }),
	})
	if len(p.problems) == before && (k.ID == "" || !hashed) {
		p.problem(n, "a key needs id and sha256")
	}
	e.Keys = append(e.Keys, k)
}

func parseTime(s string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a date such as 2027-01-31 or 2027-01-31T12:00:00Z", s)
}
