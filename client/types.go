package client

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"
)

// Request is one run. Only Script is required.
type Request struct {
	Script  string            // Python source that defines main
	Input   any               // the argument of main; nil sends none, json.RawMessage("null") sends None
	Stdin   string            // what sys.stdin reads
	Files   []File            // written into the working directory before the run
	Env     map[string]string // added to the environment
	Timeout time.Duration     // lowers the server's limit; sent in whole milliseconds, rounded up
	Memory  int64             // lowers the server's limit; MB of 2^20 bytes
	Allow   []string          // narrows what the run may reach over the network; empty but not nil is nothing
	Details bool              // asks for Details in the result
}

// File is a file that goes into a run, or that a run left in its output folder.
type File struct {
	Path      string `json:"path"` // relative, slash-separated
	Content   []byte `json:"content_base64"`
	MediaType string `json:"media_type,omitempty"` // of what a run left; by the file's name
}

// check refuses what encoding/json would replace without a word: what runs must
// be what was given.
func (r Request) check() error {
	texts := map[string]string{"script": r.Script, "stdin": r.Stdin}
	for name, value := range r.Env {
		texts[fmt.Sprintf("env[%q]", name)] = name + value
	}
	for i, f := range r.Files {
		texts[fmt.Sprintf("files[%d].path", i)] = f.Path
	}
	for i, to := range r.Allow {
		texts[fmt.Sprintf("network.allow[%d]", i)] = to
	}
	var problems []error
	for field, text := range texts {
		if !utf8.ValidString(text) {
			problems = append(problems, fmt.Errorf("%s is not UTF-8; bytes go into the content of a file", field))
		}
	}
	return errors.Join(problems...)
}

// MarshalJSON writes the request as the server takes it. Text that is not
// UTF-8 is an error, except in Input, where it is encoding/json's to decide.
func (r Request) MarshalJSON() ([]byte, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	type file struct {
		Path    string `json:"path"`
		Content []byte `json:"content_base64"`
	}
	type network struct {
		Allow []string `json:"allow"`
	}
	wire := struct {
		Script  string            `json:"script"`
		Input   any               `json:"input,omitempty"`
		Stdin   string            `json:"stdin,omitempty"`
		Files   []file            `json:"files,omitempty"`
		Env     map[string]string `json:"env,omitempty"`
		Timeout int64             `json:"timeout_ms,omitempty"`
		Memory  int64             `json:"memory_mb,omitempty"`
		Network *network          `json:"network,omitempty"`
		Details bool              `json:"details,omitempty"`
	}{
		Script: r.Script, Input: r.Input, Stdin: r.Stdin, Env: r.Env, Memory: r.Memory, Details: r.Details,
		Timeout: int64((r.Timeout + time.Millisecond - 1) / time.Millisecond),
	}
	if r.Allow != nil {
		wire.Network = &network{r.Allow}
	}
	for _, f := range r.Files {
		content := f.Content
		if content == nil {
			content = []byte{}
		}
		wire.Files = append(wire.Files, file{f.Path, content})
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(wire)
	return b.Bytes(), err
}

// Result is what a run that succeeded returned and printed.
type Result struct {
	Value  json.RawMessage `json:"result"` // what main returned
	Stdout string          `json:"stdout"`
	Details
	RequestID string          `json:"-"`
	Body      json.RawMessage `json:"-"` // the answer, as it came
}

// Decode reads what main returned into v, as encoding/json does.
func (r *Result) Decode(v any) error { return json.Unmarshal(r.Value, v) }

// Details is what Request.Details adds.
type Details struct {
	ID        string    `json:"id"`
	Stderr    string    `json:"stderr"`
	Usage     Usage     `json:"usage"`
	Truncated Truncated `json:"truncated"`
	Files     []File    `json:"files"`
	Isolation Isolation `json:"isolation"`
}

// Usage is what a run consumed.
type Usage struct {
	WallMS      int64 `json:"wall_ms"`
	CPUMS       int64 `json:"cpu_ms"`
	MemoryBytes int64 `json:"memory_bytes"`
	QueueMS     int64 `json:"queue_ms"`
}

// Truncated counts the bytes dropped beyond each stream's cap.
type Truncated struct {
	Stdout int64 `json:"stdout"`
	Stderr int64 `json:"stderr"`
}

// Isolation is the layers that were in force around a run.
type Isolation struct {
	Level  string           `json:"level"`
	Layers map[string]Layer `json:"layers"`
}

// Layer is one protection, and why it is off where it is.
type Layer struct {
	Active bool   `json:"active"`
	Detail string `json:"detail"`
}
