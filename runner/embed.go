// Package runner holds the Python side of the sandbox, so that the binary
// carries it.
package runner

import "embed"

// Files is the Python package pyexec_runner.
//
//go:embed pyexec_runner/*.py
var Files embed.FS
