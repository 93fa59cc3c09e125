package client

import (
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"time"
)

// ErrorType is error.type of the HTTP contract. It is an error itself, so that
// errors.Is(err, client.Timeout) asks for one of them.
type ErrorType string

// Error implements error.
func (t ErrorType) Error() string { return string(t) }

// What the script or the request was the cause of: always 400.
const (
	InvalidRequest  ErrorType = "invalid_request"
	SyntaxError     ErrorType = "syntax_error"
	MissingMain     ErrorType = "missing_main"
	MissingReturn   ErrorType = "missing_return"
	PolicyViolation ErrorType = "policy_violation"
	Exception       ErrorType = "exception"
	Exited          ErrorType = "exited"
	InvalidResult   ErrorType = "invalid_result"
	Timeout         ErrorType = "timeout"
	MemoryLimit     ErrorType = "memory_limit"
	OutputLimit     ErrorType = "output_limit"
	DiskLimit       ErrorType = "disk_limit"
	Killed          ErrorType = "killed"
)

// Why the server did not run the script, or lost it.
const (
	Unauthenticated      ErrorType = "unauthenticated"
	Forbidden            ErrorType = "forbidden"
	NotFound             ErrorType = "not_found"
	MethodNotAllowed     ErrorType = "method_not_allowed"
	TooLarge             ErrorType = "too_large"
	UnsupportedMediaType ErrorType = "unsupported_media_type"
	RateLimited          ErrorType = "rate_limited"
	Overloaded           ErrorType = "overloaded"
	Draining             ErrorType = "draining"
	Unavailable          ErrorType = "unavailable"
	Internal             ErrorType = "internal"
)

// Error is an answer of the server other than a result. Fields that its type
// does not have are zero.
type Error struct {
	Type    ErrorType `json:"type"`
	Message string    `json:"message"`

	Field      string `json:"field"`
	Line       int    `json:"line"`
	Column     int    `json:"column"`
	SourceLine string `json:"source_line"`
	Operation  string `json:"operation"`
	Hint       string `json:"hint"`
	Exception  string `json:"exception"`
	Traceback  string `json:"traceback"`
	Path       string `json:"path"`
	Signal     string `json:"signal"`
	ExitStatus int    `json:"exit_status"`
	LimitMS    int64  `json:"limit_ms"`
	LimitMB    int64  `json:"limit_mb"`
	LimitBytes int64  `json:"limit_bytes"`
	Started    bool   `json:"started"` // the run had begun: sending it again may repeat its effects

	Status     int           `json:"-"` // of HTTP
	RetryAfter time.Duration `json:"-"` // 0 where the server does not say
	RequestID  string        `json:"-"`
	Stdout     string        `json:"-"` // what was printed before
	Details    Details       `json:"-"` // with Request.Details, of a run that failed
	Body       []byte        `json:"-"` // the answer, as it came
}

// Error implements error.
func (e *Error) Error() string {
	if e.Message == "" {
		return fmt.Sprintf("%s (HTTP %d)", e.Type, e.Status)
	}
	return string(e.Type) + ": " + e.Message
}

// Is makes errors.Is(err, client.Timeout) work.
func (e *Error) Is(target error) bool {
	t, ok := target.(ErrorType)
	return ok && t == e.Type
}

// ByScript tells whether the script or the request was the cause. Such a run
// fails again, however often it is sent.
func (e *Error) ByScript() bool { return e.Status == http.StatusBadRequest }

// Retryable tells whether the server has said that nothing was run and when
// to come back. A proxy's 503 says only that the proxy has no answer.
func (e *Error) Retryable() bool {
	switch e.Type {
	case RateLimited, Overloaded, Draining, Unavailable:
		return e.RetryAfter > 0 && !e.Started
	}
	return false
}

// newError reads the body of an answer that is no result. What is not of our
// contract, as a proxy's page, keeps its status and becomes internal.
func newError(answer *http.Response, body []byte) *Error {
	e := &Error{}
	if kind, _, _ := mime.ParseMediaType(answer.Header.Get("Content-Type")); kind != "application/json" || !e.read(body) {
		e = &Error{Type: Internal, Message: fmt.Sprintf("the answer is not one of python-code-executor: HTTP %s", answer.Status)}
	}
	e.Status, e.Body = answer.StatusCode, body
	e.RetryAfter, e.RequestID = retryAfter(answer.Header), answer.Header.Get("X-Request-Id")
	return e
}

func (e *Error) read(body []byte) bool {
	text := struct {
		Error  *Error `json:"error"`
		Stdout string `json:"stdout"`
		Details
	}{Error: e}
	if json.Unmarshal(body, &text) != nil || text.Error == nil || e.Type == "" {
		return false
	}
	e.Stdout, e.Details = text.Stdout, text.Details
	return true
}
