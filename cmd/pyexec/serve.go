package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"

	"github.com/python-code-executor/pyexec/internal/app"
	"github.com/python-code-executor/pyexec/internal/config"
)

var serveCommand = command{
	name:    "serve",
	summary: "serve POST /execute",
	examples: []string{
		"pyexec serve",
		"pyexec serve --addr=:8080 --timeout=30s --memory=1GB",
		"PYEXEC_QUEUE=1000 pyexec serve --config=/etc/pyexec.yaml",
	},
	settings: true,
	run:      serve,
}

func serve(in *invocation) int {
	c, status, ok := loadConfig(in.settings, in.problems...)
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
		return startStatus(err)
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
