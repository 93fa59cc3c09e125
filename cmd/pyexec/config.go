package main

import (
	"fmt"

	"github.com/python-code-executor/pyexec/internal/app"
)

var configCommand = command{
	name: "config", summary: "print the settings in effect, or all that is wrong with them",
	about: `The output is a file that --config reads. Checked are names, values and the
rules between them, and that Python and nsjail can be run. Only serve finds out
about other files, addresses, the provider, OTEL_ variables and the isolation
that the platform gives.`,
	examples: []string{"pyexec config", "PYEXEC_QUEUE=10 pyexec config --config=/etc/pyexec.yaml"},
	settings: true,
	run: func(in *invocation) int {
		c, status, ok := loadConfig(in.settings, in.problems...)
		if !ok {
			return status
		}
		if err := app.Check(c); err != nil {
			return misconfigured(err)
		}
		if _, err := fmt.Fprint(in.ui.out, c); err != nil {
			return exitFailure
		}
		return 0
	},
}
