// Package pyexec is the vocabulary of python-code-executor: what a run is
// asked to do, what came of it, and why the service could not do it.
//
// The package imports nothing of the project and knows neither HTTP nor
// nsjail. Every other package speaks in its terms.
package pyexec

import (
	"context"
	"encoding/json"
	"time"
)

// Executor runs one script. What the script did, its failures included, is a
// [Result]; what the service failed to do is an [*Error]. Every stage between
// a door (HTTP, later others) and the sandbox is an Executor that wraps the
// next one.
type Executor interface {
	Execute(ctx context.Context, req Request) (Result, error)
}

// Request is one validated run. A door has checked its form and lowered its
// limits before it gets here; whether the script itself is valid is decided
// inside the sandbox.
type Request struct {
	ID      string            // answers to it in logs and X-Request-Id
	Caller  string            // whose turn it is: the name of a key's owner, or the client's address without keys
	Script  string            // Python source, valid UTF-8 without NUL
	Input   json.RawMessage   // argument of main; nil when none was sent
	Stdin   string            // what sys.stdin reads
	Files   []File            // written into the working directory before the run
	Env     map[string]string // added to the sandbox's fixed environment
	Timeout time.Duration     // wall clock, from the moment the script is handed over
	Memory  Bytes             // of the whole run, its files included
	Details bool              // the caller wants usage, stderr, files and isolation
	Watcher Watcher           // is told of the run while it goes on; nil for nobody
	Allow   Allow             // what it may reach over the network

	// Policy and Isolation are the operator's word for this caller, never the
	// client's: a stricter check before the run than the server's, and the least
	// isolation that the run may have. Both may be empty.
	Policy    string
	Isolation string
}

// Watcher is told of a run while it goes on. Its methods must not block, since
// the run's pipes wait for them; they are called by several goroutines, and
// none of them once Execute has returned.
type Watcher interface {
	// Started is called once, when a child has the script.
	Started()
	// Printed is called with valid UTF-8. All texts of a stream, one after the
	// other, are the stream of the Result, its caps and last line included.
	Printed(from Stream, text string)
}

// Stream is one of the two that a run prints to.
type Stream int

// The streams.
const (
	Stdout Stream = iota
	Stderr
)

// File is a file that goes into a run, or that a run left in its output folder.
type File struct {
	Path    string // relative, slash-separated, clean
	Content []byte
}

// Result is what one run did.
type Result struct {
	Value     json.RawMessage // what main returned; valid only when Failure is nil
	Failure   *Failure        // why there is no value; nil on success
	Stdout    string
	Stderr    string
	Truncated Truncated
	Files     []File // left under output/, only with Details
	Usage     Usage
	Timing    Timing
	Isolation Isolation
}

// Truncated counts the bytes dropped beyond each stream's cap.
type Truncated struct {
	Stdout int64
	Stderr int64
}

// Usage is what the run consumed. It comes from the kernel and the server's
// clock, never from the run itself. CPU and Memory are zero unless Details
// was asked for, since they are known only after the process is reaped.
type Usage struct {
	Wall   time.Duration
	CPU    time.Duration
	Memory Bytes
}

// Timing tells where an answer's time went.
type Timing struct {
	Queue time.Duration // waiting for a place
	Spawn time.Duration // waiting for a ready child
	Run   time.Duration // from handing the script over to its end
}

// FailureType is one row of the error table of the HTTP contract that the
// run itself is the cause of. All of them are status 400.
type FailureType string

// The failures a run can end in.
const (
	InvalidRequest  FailureType = "invalid_request" // input that main cannot take
	SyntaxError     FailureType = "syntax_error"
	MissingMain     FailureType = "missing_main"
	MissingReturn   FailureType = "missing_return"
	PolicyViolation FailureType = "policy_violation"
	Exception       FailureType = "exception"
	Exited          FailureType = "exited"
	InvalidResult   FailureType = "invalid_result"
	Timeout         FailureType = "timeout"
	MemoryLimit     FailureType = "memory_limit"
	Killed          FailureType = "killed"
	OutputLimit     FailureType = "output_limit"
	DiskLimit       FailureType = "disk_limit"
)

// Failure says how a run failed. Its JSON form is the "error" object of the
// HTTP contract; fields that a type does not have are absent.
type Failure struct {
	Type       FailureType `json:"type"`
	Message    string      `json:"message"`
	Field      string      `json:"field,omitempty"`
	Line       int         `json:"line,omitempty"`
	Column     int         `json:"column,omitempty"`
	SourceLine string      `json:"source_line,omitempty"`
	Operation  string      `json:"operation,omitempty"`
	Hint       string      `json:"hint,omitempty"`
	Exception  string      `json:"exception,omitempty"`
	Traceback  string      `json:"traceback,omitempty"`
	Path       string      `json:"path,omitempty"`
	Signal     string      `json:"signal,omitempty"`
	ExitStatus *int        `json:"exit_status,omitempty"`
	LimitMS    int64       `json:"limit_ms,omitempty"`
	LimitMB    int64       `json:"limit_mb,omitempty"`
	LimitBytes int64       `json:"limit_bytes,omitempty"`
}

// Layer is one protection around a run, and whether it is in force here.
type Layer struct {
	Name   string // for example "pid_namespace", "landlock", "seccomp"
	Active bool
	Detail string // what is in force ("ABI 7"), or why not and what would give it
}

// Isolation is the set of layers in force for runs on this server.
type Isolation struct {
	Level  string // "full", "namespaces-masked-proc", "namespaces-no-landlock", "landlock" or "seccomp"
	Layers []Layer
}
