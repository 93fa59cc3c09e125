// Package corpus runs a folder of hostile scripts against a server and judges
// what each one's header promises. It takes any folder in the format that the
// README of ../shared/hostile describes.
//
// The judge is one function of a script and an answer ([Judge]); the runner
// adds what one answer cannot show: that the server stayed healthy, that
// nothing was left behind, that neighbours and the host saw nothing.
package corpus

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/python-code-executor/pyexec/e2e/e2etest/strictjson"
)

// headerLines is how far into a script its header may reach.
const headerLines = 14

// Script is one hostile script and what its header says.
type Script struct {
	Name     string // file name without .py
	Source   string
	Expect   []string // "ok", "blocked-or-contained", "error:KIND"; the first is preferred
	Tags     []string
	Property string
	Class    string

	Result       any // as strictjson reads it; valid with HasResult
	HasResult    bool
	IfOK         bool // the result is binding only when the answer is 200
	StdoutExact  *string
	StdoutPrefix *string

	Needs  []string
	Arch   string
	Pair   string // the other script
	Order  string // one of the orders below
	Parses bool   // false: ast.parse of the text must fail
	OpenAt []string
	Note   string
}

// The orders of a pair: A first in each.
const (
	Sequential = "sequential, B several times: a first"
	Concurrent = "concurrent: a first"
	Both       = "sequential and concurrent: a first"
)

// kinds maps the kinds of the headers to the error types of the contract.
var kinds = map[string][]string{
	"invalid":          {"syntax_error", "missing_main", "missing_return", "invalid_request"},
	"blocked":          {"policy_violation"},
	"exception":        {"exception"},
	"exit":             {"exited"},
	"not_json":         {"invalid_result"},
	"result_too_large": {"output_limit"},
	"timeout":          {"timeout"},
	"memory":           {"memory_limit"},
	"killed":           {"killed", "timeout", "memory_limit", "output_limit", "disk_limit"},
	"protocol":         {"invalid_result", "exited", "killed"},
}

var (
	knownTags = []string{
		"health", "deadline", "no-procs", "next-run", "zygote", "tenant", "result-exact", "well-formed", "no-forge",
		"no-secret", "host-file", "no-conn", "mem", "disk", "stdout-cap", "distinct", "distinct-after-recycle",
	}
	knownClasses = []string{
		"resource", "filesystem", "process", "network", "kernel-surface", "protocol-forgery", "interpreter-abuse", "data", "tenant-isolation",
	}
	knownLevels = []string{"full", "namespaces-masked-proc", "namespaces-no-landlock", "landlock", "seccomp"}
	knownNeeds  = []string{"numpy", "pandas", "requests"}
	knownArches = map[string]string{"x86_64": "amd64", "aarch64": "arm64"}
	knownOrders = []string{Sequential, Concurrent, Both}

	headerField = regexp.MustCompile(`^# ([a-z][a-z-]*):(?: (.*))?$`)
	leadingTag  = regexp.MustCompile(`^\[([a-z-]+)\]\s*`)
)

// Has says whether the script's property carries a tag.
func (s *Script) Has(tag string) bool { return slices.Contains(s.Tags, tag) }

// Load reads every *.py file of a folder. Everything that the format does not
// know is an error, so that no property goes unchecked unnoticed.
func Load(dir string) ([]*Script, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.py"))
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("no *.py file in %s", dir)
	}
	var scripts []*Script
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		s, err := Parse(strings.TrimSuffix(filepath.Base(name), ".py"), text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		scripts = append(scripts, s)
	}
	return scripts, checkPairs(scripts)
}

func checkPairs(scripts []*Script) error {
	byName := map[string]*Script{}
	for _, s := range scripts {
		byName[s.Name] = s
	}
	for _, s := range scripts {
		if s.Pair == "" {
			continue
		}
		other := byName[s.Pair]
		if other == nil {
			return fmt.Errorf("%s: its pair %s is not in the folder", s.Name, s.Pair)
		}
		if other.Pair != s.Name || other.Order != s.Order {
			return fmt.Errorf("%s: %s names another pair or order", s.Name, s.Pair)
		}
	}
	return nil
}

// Parse reads one script's header.
func Parse(name string, text []byte) (*Script, error) {
	if !utf8.Valid(text) {
		return nil, fmt.Errorf("not UTF-8")
	}
	s := &Script{Name: name, Source: string(text), Parses: true}
	seen := map[string]bool{}
	top := true // in the unbroken block of comments at the top: there every field must be known
	for i, line := range strings.SplitN(strings.TrimPrefix(s.Source, "\ufeff"), "\n", headerLines+1) {
		if i == headerLines {
			break
		}
		top = top && strings.HasPrefix(line, "#")
		match := headerField.FindStringSubmatch(line)
		if match == nil {
			continue
		}
		key, value := match[1], strings.TrimSpace(match[2])
		known, err := s.set(key, value)
		switch {
		case err != nil:
			return nil, fmt.Errorf("%s: %w", key, err)
		case !known && top:
			return nil, fmt.Errorf("unknown header field %q", key)
		case known && seen[key]:
			return nil, fmt.Errorf("%s is given twice", key)
		}
		seen[key] = seen[key] || known
	}
	for _, key := range []string{"expect", "property", "class"} {
		if !seen[key] {
			return nil, fmt.Errorf("no %s in the header", key)
		}
	}
	if seen["pair"] != seen["pair-order"] {
		return nil, fmt.Errorf("pair and pair-order go together")
	}
	if seen["result"] && seen["result-if-ok"] {
		return nil, fmt.Errorf("both result and result-if-ok")
	}
	return s, nil
}

// set takes one field over; known is false for a name that is none.
func (s *Script) set(key, value string) (known bool, err error) {
	if value == "" {
		switch key {
		case "expect", "property", "class", "result", "result-if-ok", "pair", "pair-order", "open-at", "needs", "arch", "parses":
			return true, fmt.Errorf("empty")
		}
	}
	switch key {
	case "expect":
		s.Expect = strings.Split(value, "|")
		for _, one := range s.Expect {
			kind, isError := strings.CutPrefix(one, "error:")
			if isError && kinds[kind] == nil || !isError && one != "ok" && one != "blocked-or-contained" {
				return true, fmt.Errorf("unknown answer %q", one)
			}
		}
	case "property":
		for m := leadingTag.FindStringSubmatch(value); m != nil; m = leadingTag.FindStringSubmatch(value) {
			s.Tags = append(s.Tags, m[1])
			value = value[len(m[0]):]
		}
		s.Property = value
		if value == "" {
			return true, fmt.Errorf("no sentence")
		}
		return true, oneOf(knownTags, s.Tags...)
	case "class":
		s.Class = value
		return true, oneOf(knownClasses, value)
	case "result", "result-if-ok":
		s.HasResult, s.IfOK = true, key == "result-if-ok"
		s.Result, err = strictjson.Parse([]byte(value))
	case "stdout-exact":
		s.StdoutExact = new(string)
		err = json.Unmarshal([]byte(value), s.StdoutExact)
	case "stdout-prefix":
		s.StdoutPrefix = new(string)
		err = json.Unmarshal([]byte(value), s.StdoutPrefix)
	case "needs":
		s.Needs = list(value)
		return true, oneOf(knownNeeds, s.Needs...)
	case "arch":
		s.Arch = knownArches[value]
		if s.Arch == "" {
			return true, fmt.Errorf("unknown architecture %q", value)
		}
	case "pair":
		s.Pair = strings.TrimSuffix(value, ".py")
	case "pair-order":
		s.Order = value
		return true, oneOf(knownOrders, value)
	case "parses":
		s.Parses = false
		return true, oneOf([]string{"no"}, value)
	case "open-at":
		s.OpenAt = list(value)
		return true, oneOf(knownLevels, s.OpenAt...)
	case "note":
		s.Note = value
	default:
		return false, nil
	}
	return true, err
}

func list(value string) []string {
	return strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r == ' ' })
}

func oneOf(known []string, values ...string) error {
	for _, v := range values {
		if !slices.Contains(known, v) {
			return fmt.Errorf("unknown value %q", v)
		}
	}
	return nil
}
