package config

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Source is where settings come from.
type Source struct {
	Args       []string // after the command's name
	Env        []string // as os.Environ gives it
	Executable string   // path of the running binary, beside which python and nsjail are looked for
}

// Load reads, checks and completes the settings. The error names every
// problem, a line each; it is flag.ErrHelp when help was asked for.
func Load(from Source) (Config, error) {
	l := loader{values: map[string]given{}, env: map[string]string{}, faulty: map[string]bool{}}
	for _, kv := range from.Env {
		k, v, _ := strings.Cut(kv, "=")
		l.env[k] = v
	}
	file, err := l.flags(from.Args)
	if err != nil {
		return Config{}, err
	}
	l.environment(&file)
	l.file(file)
	if l.env["K_SERVICE"] != "" { // Cloud Run, which kills ten seconds after SIGTERM
		l.give("grace", "8s", "K_SERVICE")
	}

	var c Config
	for _, s := range settings {
		v, ok := l.values[s.name]
		if !ok {
			v = given{s.value, "default"}
		}
		for _, err := range each(s.set(&c, v.value)) {
			l.faulty[s.name] = true
			l.problem(fmt.Errorf("%s (%s): %w", s.name, v.from, err))
		}
	}
	l.port(&c)
	l.together(c)
	c.defaults()
	l.problem(c.locate(from.Executable, l.env["PATH"]))
	return c, errors.Join(l.problems...)
}

// given is a value and where it came from, for messages.
type given struct{ value, from string }

type loader struct {
	env      map[string]string
	values   map[string]given // by the name of the setting, the strongest source
	faulty   map[string]bool  // settings that are wrong by themselves
	problems []error
}

// each is the errors that were joined to err.
func each(err error) []error {
	if all, ok := err.(interface{ Unwrap() []error }); ok {
		return all.Unwrap()
	}
	if err == nil {
		return nil
	}
	return []error{err}
}

func (l *loader) problem(err error) {
	if err != nil {
		l.problems = append(l.problems, err)
	}
}

// give keeps the first value of a name: stronger sources come first.
func (l *loader) give(name, value, from string) {
	if _, ok := l.values[name]; !ok {
		l.values[name] = given{value, from}
	}
}

// flags reads args and returns the value of --config. It goes on after what
// it does not know, to find every problem.
func (l *loader) flags(args []string) (file string, err error) {
	set := newFlags()
	set.StringVar(&file, "config", "", "")
	for _, s := range settings {
		give := func(v string) error {
			l.values[s.name] = given{v, "--" + s.name} // the last one wins
			return nil
		}
		if s.kind == "" {
			set.BoolFunc(s.name, "", give) // alone it is true
		} else {
			set.Func(s.name, "", give)
		}
	}
	for len(args) > 0 {
		err := set.Parse(args)
		args = set.Args()
		switch {
		case errors.Is(err, flag.ErrHelp):
			return "", err
		case err != nil:
			l.problem(err)
			for len(args) > 0 && !strings.HasPrefix(args[0], "-") {
				args = args[1:] // its value, if it has one
			}
		case len(args) > 0:
			l.problem(fmt.Errorf("unexpected argument %q", args[0]))
			args = args[1:]
		}
	}
	return file, nil
}

func newFlags() *flag.FlagSet {
	set := flag.NewFlagSet("pyexec", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	set.Usage = func() {}
	return set
}

func envName(name string) string {
	return "PYEXEC_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

// environment reads the PYEXEC_ variables, of which every one must be known.
func (l *loader) environment(file *string) {
	known := map[string]string{}
	for _, s := range settings {
		known[envName(s.name)] = s.name
	}
	for _, k := range slices.Sorted(maps.Keys(l.env)) {
		v := l.env[k]
		name, ok := known[k]
		switch {
		case ok:
			l.give(name, v, k)
		case k == "PYEXEC_CONFIG":
			if *file == "" {
				*file = v
			}
		case strings.HasPrefix(k, "PYEXEC_") && !isClientVariable(k):
			l.problem(fmt.Errorf("%s: there is no such setting", k))
		}
	}
}

// file reads the keys of a YAML file, which are the names of the flags.
func (l *loader) file(name string) {
	if name == "" {
		return
	}
	text, err := os.ReadFile(name)
	if err != nil {
		l.problem(fmt.Errorf("config: %w", err))
		return
	}
	var doc, second yaml.Node
	documents := yaml.NewDecoder(bytes.NewReader(text))
	switch err := documents.Decode(&doc); {
	case errors.Is(err, io.EOF): // no settings
		return
	case err != nil:
		l.problem(fmt.Errorf("config %s: %w", name, err))
		return
	}
	if err := documents.Decode(&second); err == nil {
		l.problem(fmt.Errorf("config %s, line %d: a second document begins; all settings belong in one", name, second.Line))
	} else if !errors.Is(err, io.EOF) {
		l.problem(fmt.Errorf("config %s: %w", name, err))
	}
	l.keys(name, doc.Content[0])
}

// keys reads a mapping node by node: decoding it would stop at a key that is
// there twice.
func (l *loader) keys(file string, n *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		if n.Tag != "!!null" {
			l.problem(fmt.Errorf("config %s, line %d: must be settings and their values, as in timeout: 10s", file, n.Line))
		}
		return
	}
	known, seen := map[string]bool{}, map[string]bool{}
	for _, s := range settings {
		known[s.name] = true
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, at := n.Content[i].Value, fmt.Sprintf("%s, line %d", file, n.Content[i].Line)
		value, err := scalar(n.Content[i+1])
		_, given := l.values[key]
		switch {
		case !known[key]:
			l.problem(fmt.Errorf("config %s: there is no setting %q", at, key))
		case seen[key]:
			l.problem(fmt.Errorf("config %s: %s is there twice", at, key))
		case err != nil:
			l.faulty[key] = !given
			l.problem(fmt.Errorf("config %s: %s: %w", at, key, err))
		default:
			l.give(key, value, at)
		}
		seen[key] = true
	}
}

// scalar is a YAML value as a flag would have it: lists with commas. The
// text is what counts, so that policy: off is not taken for false.
func scalar(node *yaml.Node) (string, error) {
	switch node.Kind {
	case yaml.ScalarNode:
		return node.Value, nil
	case yaml.SequenceNode:
		parts := make([]string, len(node.Content))
		for i, part := range node.Content {
			if part.Kind != yaml.ScalarNode {
				return "", errors.New("must be a list of words")
			}
			parts[i] = part.Value
		}
		return strings.Join(parts, ","), nil
	default:
		return "", errors.New("must be a word or a list of words")
	}
}

// port lets PORT, which platforms set, change the port of the address. An
// address that a flag or PYEXEC_ADDR gave keeps its host.
func (l *loader) port(c *Config) {
	port := l.env["PORT"]
	if port == "" || strings.HasPrefix(l.values["addr"].from, "--") {
		return
	}
	if err := isPort(port); err != nil {
		l.problem(fmt.Errorf("PORT: %w", err))
		return
	}
	if host, _, err := net.SplitHostPort(c.Addr); err == nil {
		c.Addr = net.JoinHostPort(host, port)
	}
}

// together checks the rules between settings. One that concerns a faulty
// setting is left out: what it found would only follow from the fault.
func (l *loader) together(c Config) {
	rule := func(broken bool, problem string, of ...string) {
		if broken && !slices.ContainsFunc(of, func(name string) bool { return l.faulty[name] }) {
			l.problem(errors.New(problem))
		}
	}
	rule((c.TLSCert == "") != (c.TLSKey == ""), "tls-cert, tls-key: one is no use without the other", "tls-cert", "tls-key")
	rule(c.RequireAuth && c.KeysFile == "" && c.OIDCIssuer == "",
		"require-auth: there is neither keys-file nor oidc-issuer, so nobody could be told from anybody", "keys-file", "oidc-issuer")
	rule(c.OIDCIssuer != "" && c.OIDCAudience == "",
		"oidc-audience: is needed with oidc-issuer: without it, tokens for any other service would be taken", "oidc-audience")
	rule(c.OIDCIssuer == "" && (c.OIDCAudience != "" || len(c.OIDCScopes) > 0),
		"oidc-issuer: is needed with oidc-audience and oidc-scopes", "oidc-issuer")
	rule(c.OIDCIssuer == "" && c.OIDCClaim != usualClaim, "oidc-claim: has no effect without oidc-issuer", "oidc-issuer", "oidc-claim")
	rule(c.Burst > 0 && c.Rate.Count == 0, "burst: there is no rate that it belongs to", "rate")
}
