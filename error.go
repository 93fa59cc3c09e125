package pyexec

import (
	"errors"
	"time"
)

// Code is why the service did not run a script, or lost it. Codes are the
// error types of the HTTP contract that are not the script's own doing.
type Code string

// The codes. Each door maps them once to its own status.
const (
	CodeInvalidRequest       Code = "invalid_request"
	CodeUnauthenticated      Code = "unauthenticated"
	CodeForbidden            Code = "forbidden"
	CodeNotFound             Code = "not_found"
	CodeMethodNotAllowed     Code = "method_not_allowed"
	CodeTooLarge             Code = "too_large"
	CodeUnsupportedMediaType Code = "unsupported_media_type"
	CodeRateLimited          Code = "rate_limited"
	CodeOverloaded           Code = "overloaded"
	CodeDraining             Code = "draining"
	CodeUnavailable          Code = "unavailable"
	CodeCanceled             Code = "canceled" // the client went away: nobody reads the answer
	CodeInternal             Code = "internal"
)

// Error is a failure of the service or of the request's form. Message is one
// sentence that is safe to show; Err is only logged.
type Error struct {
	Code       Code
	Message    string
	Field      string        // the request field at fault, with CodeInvalidRequest
	Limit      Bytes         // the limit that was passed, with CodeTooLarge
	RetryAfter time.Duration // when it is worth trying again; 0 means not said
	Started    bool          // the script had begun: running it again may repeat its effects
	Err        error
}

// Error implements error.
func (e *Error) Error() string {
	s := string(e.Code) + ": " + e.Message
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap gives errors.Is and errors.As the cause.
func (e *Error) Unwrap() error { return e.Err }

// CodeOf is the code of err: that of the *Error in its chain, or
// CodeInternal for anything else.
func CodeOf(err error) Code {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return CodeInternal
}

// ErrNotStarted means that a child was lost before it could have read the
// script, so that the run may be given to another one.
var ErrNotStarted = errors.New("child was lost before the run began")
