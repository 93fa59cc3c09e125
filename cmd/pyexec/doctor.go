package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"text/tabwriter"

	"github.com/python-code-executor/pyexec/internal/app"
	"github.com/python-code-executor/pyexec/internal/jail"
)

// doctor prints each layer, active or why not, and what would give it.
func doctor(args []string, w io.Writer) int {
	c, status, ok := load(args)
	if !ok {
		return status
	}
	c.Addr = "127.0.0.1:0"
	if len(args) == 0 && len(c.RequireIsolation) <= 1 {
		c.RequireIsolation = []string{string(jail.SeccompOnly)} // show whatever there is
	}
	a, err := app.New(context.Background(), c, version, slog.New(slog.DiscardHandler))
	if err != nil {
		fmt.Fprintf(os.Stderr, "pyexec: %v\n", err)
		return exitConfig
	}
	defer a.Close()
	iso, tried := a.Isolation()
	fmt.Fprintf(w, "isolation level: %s\n", iso.Level)
	for _, reason := range tried {
		fmt.Fprintf(w, "not %s\n", reason)
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "LAYER\tSTATE\tDETAIL")
	for _, l := range iso.Layers {
		state := "active"
		if !l.Active {
			state = "off"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\n", l.Name, state, l.Detail)
	}
	if err := table.Flush(); err != nil {
		return exitFailure
	}
	return 0
}
