// Command pyexec runs Python in a sandbox: it serves it over HTTP, and runs
// single scripts.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/python-code-executor/pyexec/internal/app"
	"github.com/python-code-executor/pyexec/internal/config"
	"github.com/python-code-executor/pyexec/internal/jail"
)

// version is set by the linker.
var version = "dev"

// commands are in the order of the help.
var commands []*command

func init() { //nolint:gochecknoinits // completion reads the table that it is in
	commands = []*command{
		&runCommand, &serveCommand, &doctorCommand, &benchCommand, &keysCommand, &configCommand, &healthcheckCommand,
		&completionCommand, &versionCommand, &completeCommand,
	}
}

var versionCommand = command{
	name: "version", summary: "print the version", examples: []string{"pyexec version"},
	run: func(in *invocation) int {
		fmt.Fprintln(in.ui.out, "pyexec", version)
		return 0
	},
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == jail.LaunchCommand {
		fmt.Fprintln(os.Stderr, jail.Launch(strings.Join(os.Args[2:], " ")))
		os.Exit(exitFailure)
	}
	if isInit() {
		os.Exit(runInit())
	}
	u := newUI()
	status := dispatch(os.Args[1:], u)
	if err := u.out.err; err != nil { // whatever it did, nobody has seen it
		if status = exitOfWrite(err); status != exitPipe {
			u.fail("%v", err)
		}
	}
	os.Exit(status)
}

func dispatch(args []string, u ui) int {
	if len(args) == 0 {
		usage(u.err)
		return exitUsage
	}
	name, rest := args[0], args[1:]
	switch name {
	case "-h", "-help", "--help", "help":
		if name == "help" && len(rest) > 0 {
			return dispatch([]string{rest[0], "-h"}, u)
		}
		usage(u.out)
		return 0
	case "--version":
		name = "version"
	}
	c := find(name)
	if c == nil {
		names := []string{}
		for _, c := range commands {
			if !c.hidden {
				names = append(names, c.name)
			}
		}
		u.fail("there is no command %q%s", name, meant("", name, names))
		fmt.Fprintln(u.err, "pyexec -h lists the commands")
		return exitUsage
	}
	if c.raw != nil {
		return c.raw(rest)
	}
	in := &invocation{command: c, ui: u}
	if in.parse(rest) {
		c.help(u.out)
		return 0
	}
	// Settings are checked together with the rest, and mistakes are of the
	// configuration then.
	if len(in.problems) > 0 && !c.settings {
		return in.usage()
	}
	return c.run(in)
}

func find(name string) *command {
	for _, c := range commands {
		if c.name == name {
			return c
		}
	}
	return nil
}

func usage(w io.Writer) {
	fmt.Fprint(w, "pyexec runs Python scripts in a sandbox, here or over HTTP.\n\nUsage:\n  pyexec COMMAND [flags]\n\nCommands:\n")
	printCommands(w)
	fmt.Fprint(w, "\npyexec COMMAND -h says more of each, with examples.\n")
}

// loadConfig reads the configuration; its second value is the exit status when
// there is nothing more to do. What was wrong before is told together with
// what is wrong now.
func loadConfig(args []string, before ...error) (config.Config, int, bool) {
	self, err := os.Executable()
	if err != nil {
		fmt.Fprintln(os.Stderr, "pyexec:", err)
		return config.Config{}, exitFailure, false
	}
	c, err := config.Load(config.Source{Args: args, Env: os.Environ(), Executable: self})
	if err := errors.Join(append(before, err)...); err != nil {
		return c, misconfigured(errors.Join(err, app.Check(c))), false
	}
	return c, 0, true
}

// misconfigured says all that is wrong with the settings.
func misconfigured(problems error) int {
	fmt.Fprintf(os.Stderr, "pyexec: %v:\n%v\n", app.ErrConfig, problems)
	return exitConfig
}
