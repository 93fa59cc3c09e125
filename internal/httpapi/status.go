package httpapi

import (
	"net/http"

	"github.com/python-code-executor/pyexec"
)

// statuses is the one table from why the service did not run a script to the
// status of the answer. What a script did itself is always a 400, so that no
// proxy or client repeats a run by itself.
var statuses = map[pyexec.Code]int{
	pyexec.CodeInvalidRequest:       http.StatusBadRequest,
	pyexec.CodeUnauthenticated:      http.StatusUnauthorized,
	pyexec.CodeForbidden:            http.StatusForbidden,
	pyexec.CodeNotFound:             http.StatusNotFound,
	pyexec.CodeMethodNotAllowed:     http.StatusMethodNotAllowed,
	pyexec.CodeTooLarge:             http.StatusRequestEntityTooLarge,
	pyexec.CodeUnsupportedMediaType: http.StatusUnsupportedMediaType,
	pyexec.CodeRateLimited:          http.StatusTooManyRequests,
	pyexec.CodeOverloaded:           http.StatusServiceUnavailable,
	pyexec.CodeDraining:             http.StatusServiceUnavailable,
	pyexec.CodeUnavailable:          http.StatusServiceUnavailable,
	pyexec.CodeCanceled:             statusClientGone,
	pyexec.CodeInternal:             http.StatusInternalServerError,
}

// statusClientGone is for the log alone: nobody reads the answer, and none
// is written.
const statusClientGone = 499

const statusFailure = http.StatusBadRequest

// retryable tells whether the answer to e says when to try again: only when
// nothing of the script can have run.
func retryable(e *pyexec.Error) bool {
	switch e.Code {
	case pyexec.CodeRateLimited, pyexec.CodeOverloaded, pyexec.CodeDraining, pyexec.CodeUnavailable:
		return !e.Started
	default:
		return false
	}
}
