package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/python-code-executor/pyexec/internal/config"
)

// command is one row of the command line. Parsing, help and completion all
// read it, together with the table of settings: nothing is said twice.
//
// It is a table of our own, as that of the settings is: kong would want every
// setting once more as a field with tags, and stops at the first problem.
type command struct {
	name     string
	args     string // of the usage line, such as "SCRIPT"
	most     int    // arguments
	summary  string
	about    string
	examples []string
	options  []option
	settings bool // takes those of serve, too
	hidden   bool
	words    []string // what its first argument may be; nil for files or nothing
	run      func(*invocation) int
	raw      func(args []string) int // instead of run: reads its arguments itself
}

// option is a flag of a command that is no setting of the server.
type option struct {
	name, kind, help string // without a kind it is a switch
	values           []string
}

// invocation is a command with what was given to it.
type invocation struct {
	command  *command
	ui       ui
	args     []string
	given    map[string][]string // values by option
	settings []string            // as flags
	problems []error
}

// is tells whether a switch was given.
func (in *invocation) is(name string) bool { return len(in.given[name]) > 0 }

// value is an option's last value, "" without one.
func (in *invocation) value(name string) string {
	if all := in.given[name]; len(all) > 0 {
		return all[len(all)-1]
	}
	return ""
}

func (in *invocation) problem(format string, args ...any) {
	in.problems = append(in.problems, fmt.Errorf(format, args...))
}

// usage reports all that is wrong with how the command was called.
func (in *invocation) usage() int {
	in.ui.fail("%v", errors.Join(in.problems...))
	fmt.Fprintf(in.ui.err, "pyexec %s -h says what it takes\n", in.command.name)
	return exitUsage
}

// parse reads the arguments, flags and others in any order. It goes on after
// a mistake, to find every one. help is what -h asks for.
func (in *invocation) parse(args []string) (help bool) {
	set := flag.NewFlagSet("", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	in.given = map[string][]string{}
	for _, o := range in.command.options {
		give := func(v string) error {
			if o.values != nil && !slices.Contains(o.values, v) {
				return fmt.Errorf("it must be one of %s", strings.Join(o.values, ", "))
			}
			in.given[o.name] = append(in.given[o.name], v)
			return nil
		}
		if o.kind == "" {
			set.BoolFunc(o.name, "", give)
		} else {
			set.Func(o.name, "", give)
		}
	}
	if in.command.settings {
		for _, s := range in.command.allSettings() {
			give := func(v string) error {
				in.settings = append(in.settings, "--"+s.name+"="+v)
				return nil
			}
			if s.kind == "" {
				set.BoolFunc(s.name, "", give)
			} else {
				set.Func(s.name, "", give)
			}
		}
	}
	for len(args) > 0 {
		rest := args
		err := set.Parse(args)
		args = set.Args()
		switch {
		case errors.Is(err, flag.ErrHelp):
			return true
		case err != nil:
			in.problem("%s", in.command.explain(err))
			for len(args) > 0 && !strings.HasPrefix(args[0], "-") {
				args = args[1:] // its value, if it has one
			}
		case len(args) == 0:
		case len(rest) > len(args) && rest[len(rest)-len(args)-1] == "--":
			in.args, args = append(in.args, args...), nil
		default:
			in.args, args = append(in.args, args[0]), args[1:]
		}
	}
	if len(in.args) > in.command.most {
		in.problem("unexpected argument %q", in.args[in.command.most])
	}
	return false
}

// explain says what package flag says in our words, with the flag that may
// have been meant.
func (c *command) explain(err error) string {
	name, ok := strings.CutPrefix(err.Error(), "flag provided but not defined: -")
	if !ok {
		return strings.Replace(strings.Replace(err.Error(), "flag needs an argument: -", "this flag needs a value: --", 1), "for flag -", "for --", 1)
	}
	names := []string{}
	for _, o := range c.options {
		names = append(names, o.name)
	}
	if c.settings {
		for _, o := range c.allSettings() {
			names = append(names, o.name)
		}
	}
	return "there is no flag --" + name + meant("--", name, names)
}

// meant is a question about the nearest of names, "" where none is near.
func meant(prefix, word string, names []string) string {
	best, least := "", len(word)/3+2
	for _, name := range names {
		if d := distance(word, name); d < least {
			best, least = name, d
		}
	}
	if best == "" {
		return ""
	}
	return "; is " + prefix + best + " meant?"
}

// distance is Levenshtein's.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// allSettings are those of serve that no option of the command hides.
func (c *command) allSettings() []option {
	all := []option{{name: "config", kind: "FILE", help: "read settings from FILE"}}
	for _, s := range config.Settings() {
		help := s.Help
		if s.Default != "" {
			help += " (" + s.Default + ")"
		}
		all = append(all, option{s.Name, s.Kind, help, s.Values})
	}
	return slices.DeleteFunc(all, func(o option) bool {
		return slices.ContainsFunc(c.options, func(own option) bool { return own.name == o.name })
	})
}

// help is what pyexec COMMAND -h prints.
func (c *command) help(w io.Writer) {
	line := "pyexec " + c.name
	if c.args != "" {
		line += " " + c.args
	}
	if len(c.options) > 0 || c.settings {
		line += " [flags]"
	}
	fmt.Fprintf(w, "%s\n\nUsage:\n  %s\n", sentence(c.summary), line)
	if c.about != "" {
		fmt.Fprintf(w, "\n%s\n", strings.TrimSpace(c.about))
	}
	if len(c.options) > 0 {
		fmt.Fprintf(w, "\nFlags:\n")
		table(w, c.options)
	}
	if len(c.examples) > 0 {
		fmt.Fprintf(w, "\nExamples:\n")
		for _, e := range c.examples {
			fmt.Fprintf(w, "  %s\n", e)
		}
	}
	if c.settings {
		fmt.Fprintf(w, "\nSettings of the server. They are flags, variables (PYEXEC_ and the name, as in PYEXEC_MAX_WAIT) and keys of a YAML file; the first that is given counts, in this order.\n")
		table(w, c.allSettings())
	}
}

func table(w io.Writer, options []option) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, o := range options {
		fmt.Fprintf(tw, "  %s\t%s\n", strings.TrimSpace("--"+o.name+" "+o.kind), o.help)
	}
	_ = tw.Flush() // to w, whose errors a help text has no use for
}

func sentence(s string) string { return strings.ToUpper(s[:1]) + s[1:] + "." }
