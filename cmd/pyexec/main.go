// Command pyexec serves Python over HTTP from a sandbox.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"golang.org/x/term"

	"github.com/python-code-executor/pyexec/internal/app"
	"github.com/python-code-executor/pyexec/internal/config"
	"github.com/python-code-executor/pyexec/internal/jail"
)

// version is set by the linker.
var version = "dev"

const usage = `pyexec runs Python scripts over HTTP in a sandbox.

Usage:
  pyexec serve [flags]     serve POST /execute; pyexec serve -h lists the flags
  pyexec doctor [flags]    say which isolation this machine gives, and what would give more
  pyexec healthcheck       exit 0 when the server on $PORT or 8080 is healthy
  pyexec version           print the version
`

// Exit statuses, of sysexits(3) where it has one.
const (
	exitFailure = 1
	exitUsage   = 64
	exitConfig  = 78 // the configuration, or the isolation it asks for, cannot be had
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(exitUsage)
	}
	switch command := os.Args[1]; command {
	case jail.LaunchCommand:
		fmt.Fprintln(os.Stderr, jail.Launch(strings.Join(os.Args[2:], " ")))
		os.Exit(exitFailure)
	case "serve":
		os.Exit(serve(os.Args[2:]))
	case "doctor":
		os.Exit(doctor(os.Args[2:], os.Stdout))
	case "healthcheck":
		os.Exit(healthcheck())
	case "version", "--version":
		fmt.Println("pyexec", version)
	case "help", "-h", "--help":
		fmt.Print(usage)
	default:
		fmt.Fprintf(os.Stderr, "pyexec: unknown command %q\n\n%s", command, usage)
		os.Exit(exitUsage)
	}
}

// load reads the configuration; its second value is the exit status when
// there is nothing more to do.
func load(args []string) (config.Config, int, bool) {
	self, err := os.Executable()
	if err != nil {
		fmt.Fprintln(os.Stderr, "pyexec:", err)
		return config.Config{}, exitFailure, false
	}
	c, err := config.Load(config.Source{Args: args, Env: os.Environ(), Executable: self})
	switch {
	case errors.Is(err, flag.ErrHelp):
		config.Help(os.Stdout)
		return c, 0, false
	case err != nil:
		fmt.Fprintf(os.Stderr, "pyexec: the configuration cannot work:\n%v\n", err)
		return c, exitConfig, false
	}
	return c, 0, true
}

func serve(args []string) int {
	c, status, ok := load(args)
	if !ok {
		return status
	}
	if err := harden(); err != nil {
		fmt.Fprintln(os.Stderr, "pyexec:", err)
		return exitFailure
	}
	terminal := term.IsTerminal(int(os.Stderr.Fd()))
	log := logger(c, terminal, os.Stderr)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	a, err := app.New(ctx, c, version, log)
	if err != nil {
		fmt.Fprintf(os.Stderr, "pyexec: %v\n", err)
		var refused *jail.Refusal
		if errors.As(err, &refused) || errors.Is(err, app.ErrConfig) {
			return exitConfig
		}
		return exitFailure
	}
	log.Info("serving", "addr", a.Addr(), "metrics", a.MetricsAddr(), "version", version)
	a.Welcome(os.Stderr)
	if err := a.Run(ctx); err != nil {
		log.Error("stopped", "error", err)
		return exitFailure
	}
	log.Info("stopped")
	return 0
}

func logger(c config.Config, terminal bool, w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(c.LogLevel)) // config has checked it
	opts := &slog.HandlerOptions{Level: level}
	if c.LogFormat == "text" || c.LogFormat == "auto" && terminal {
		return slog.New(slog.NewTextHandler(w, opts))
	}
	return slog.New(slog.NewJSONHandler(w, opts))
}
