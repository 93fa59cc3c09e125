// Package runner holds the Python side of the sandbox, so that the binary
// carries it.
package runner

import "embed"

// Files is the Python package pyexec_runner, with its compiled form where
// scripts/build.sh has made one.
//
//go:embed all:pyexec_runner
var Files embed.FS
