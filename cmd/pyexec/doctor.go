package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"text/tabwriter"

	pyexec "github.com/python-code-executor/pyexec"
	"github.com/python-code-executor/pyexec/client"
	"github.com/python-code-executor/pyexec/internal/app"
	"github.com/python-code-executor/pyexec/internal/jail"
)

var doctorCommand = command{
	name:     "doctor",
	summary:  "say which isolation this machine gives, and what would give more",
	examples: []string{"pyexec doctor", "pyexec doctor --require-isolation=full", "pyexec doctor --json"},
	options:  []option{{name: "json", help: "print what /health says of it, as JSON"}},
	settings: true,
	run:      doctor,
}

// doctor prints each layer, active or why not, and what would give it.
func doctor(in *invocation) int {
	if len(in.problems) > 0 {
		return in.usage()
	}
	c, status, ok := loadConfig(in.settings)
	if !ok {
		return status
	}
	c = c.Private()
	if len(in.settings) == 0 && len(c.RequireIsolation) <= 1 {
		c.RequireIsolation = []string{string(jail.SeccompOnly)} // show whatever there is
	}
	done := in.ui.progress(func() string { return "trying the layers" })
	a, err := app.NewOn(context.Background(), newPipes(), c, version, slog.New(slog.DiscardHandler))
	done()
	if err != nil {
		in.ui.fail("%v", err)
		return exitConfig
	}
	defer a.Close()
	iso, tried := a.Isolation()
	if in.is("json") {
		return doctorJSON(in, iso, tried)
	}
	w := in.ui.out
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

func doctorJSON(in *invocation, iso pyexec.Isolation, tried []jail.Reason) int {
	layers := map[string]client.Layer{}
	for _, l := range iso.Layers {
		layers[l.Name] = client.Layer{Active: l.Active, Detail: l.Detail}
	}
	not := []string{}
	for _, reason := range tried {
		not = append(not, reason.String())
	}
	enc := json.NewEncoder(in.ui.out)
	enc.SetIndent("", "  ")
	if err := enc.Encode(map[string]any{"level": iso.Level, "layers": layers, "not": not}); err != nil {
		return exitFailure
	}
	return 0
}
