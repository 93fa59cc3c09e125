package main

import "fmt"

var configCommand = command{
	name: "config", summary: "print the settings in effect, secrets hidden",
	about:    "The output is a file that --config reads. Where the settings cannot work, it says all that is wrong.",
	examples: []string{"pyexec config", "PYEXEC_QUEUE=10 pyexec config --config=/etc/pyexec.yaml"},
	settings: true,
	run: func(in *invocation) int {
		c, status, ok := loadConfig(in.settings, in.problems...)
		if !ok {
			return status
		}
		if _, err := fmt.Fprint(in.ui.out, c); err != nil {
			return exitFailure
		}
		return 0
	},
}
