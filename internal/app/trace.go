package app

import (
	"net/http"
	"time"

	"github.com/python-code-executor/pyexec/internal/httpapi"
	"github.com/python-code-executor/pyexec/internal/tracing"
)

// trace is what the HTTP door begins spans with; nil where there are none.
func (a *App) trace() func(http.Header, time.Time) (string, string, func(httpapi.Answer)) {
	if a.tracing == nil {
		return nil
	}
	return func(header http.Header, start time.Time) (string, string, func(httpapi.Answer)) {
		trace, span, end := a.tracing.Begin(header, start)
		return trace, span, func(of httpapi.Answer) {
			end(tracing.Run{
				ID: of.ID, Caller: of.Caller, Status: of.Status, Outcome: of.Outcome, Executing: of.Executing, Timing: of.Timing,
				Isolation: of.Isolation, Stream: of.Stream, ScriptBytes: of.Sizes.Script, ResultBytes: of.Sizes.Result,
				StdoutBytes: of.Sizes.Stdout, StderrBytes: of.Sizes.Stderr,
			})
		}
	}
}
