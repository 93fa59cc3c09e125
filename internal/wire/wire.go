// Package wire is what passes between the server and the Python runner.
//
// docs/architecture.md is the reference. Everything a child sends on its
// result pipe is hostile: user code can write there. Reads are bounded, one
// outcome ends the stream, and an outcome can only choose between a result and
// the failures that a run may report of itself.
package wire

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"unicode"
	"unicode/utf8"

	pyexec "github.com/python-code-executor/pyexec"
)

// Kinds of frame on the result pipe.
const (
	Ready  = 'Y' // no payload: confined, waiting for a request
	Failed = 'X' // a step of the confinement failed
	Result = 'R'
	Error  = 'E'
	Files  = 'F'
)

// Policies of the check before the run.
const (
	PolicyStandard = "standard"
	PolicyStrict   = "strict"
	PolicyOff      = "off"
)

type request struct {
	Script       string            `json:"script"`
	Input        json.RawMessage   `json:"input,omitempty"`
	Files        []file            `json:"files,omitempty"`
	Env          map[string]string `json:"env,omitempty"`
	Policy       string            `json:"policy"`
	Details      bool              `json:"details"`
	TimeoutMS    int64             `json:"timeout_ms"`
	MemoryBytes  int64             `json:"memory_bytes"`
	AddressSpace bool              `json:"address_space"`
	Limits       limits            `json:"limits"`
}

type limits struct {
	ResultBytes     int64 `json:"result_bytes"`
	Depth           int   `json:"depth"`
	MessageBytes    int64 `json:"message_bytes"`
	TracebackBytes  int64 `json:"traceback_bytes"`
	TracebackFrames int   `json:"traceback_frames"`
	OutputFiles     int   `json:"output_files"`
	OutputBytes     int64 `json:"output_bytes"`
}

type file struct {
	Path    string `json:"path"`
	Content []byte `json:"content_base64"`
}

// Setting is what the server adds to a request.
type Setting struct {
	Policy       string
	AddressSpace bool // no cgroup bounds the run's memory: the child sets RLIMIT_AS
	Limits       pyexec.Limits
}

// EncodeRequest is the frame that hands a run to a child. The script's stdin
// follows it on the same pipe.
func EncodeRequest(req pyexec.Request, set Setting) ([]byte, error) {
	l := set.Limits
	msg := request{
		Script: req.Script, Input: req.Input, Env: req.Env,
		Policy: set.Policy, Details: req.Details,
		TimeoutMS: req.Timeout.Milliseconds(), MemoryBytes: int64(req.Memory), AddressSpace: set.AddressSpace,
		Limits: limits{
			ResultBytes: int64(l.Result), Depth: l.Depth,
			MessageBytes: int64(l.Message), TracebackBytes: int64(l.Traceback), TracebackFrames: l.TracebackFrames,
			OutputFiles: l.OutputFiles, OutputBytes: int64(l.OutputBytes),
		},
	}
	for _, f := range req.Files {
		msg.Files = append(msg.Files, file(f))
	}
	body, err := json.Marshal(msg)
	if err != nil {
		return nil, fmt.Errorf("encode request: %w", err)
	}
	frame := make([]byte, 4, 4+len(body))
	binary.BigEndian.PutUint32(frame, uint32(len(body))) //nolint:gosec // bounded far below
	return append(frame, body...), nil
}

// StepFailed is a child's report that it could not confine itself. It is sent
// before the child has read a byte of a request, so it can be trusted.
type StepFailed struct {
	Step   string `json:"step"`
	Errno  string `json:"errno"`
	Detail string `json:"detail"`
}

func (e *StepFailed) Error() string {
	return fmt.Sprintf("%s: %s (%s)", e.Step, e.Detail, e.Errno)
}

// ReadReady waits for a child's first word. io.EOF means that it died first.
func ReadReady(r io.Reader) error {
	var kind [1]byte
	if _, err := io.ReadFull(r, kind[:]); err != nil {
		return err
	}
	switch kind[0] {
	case Ready:
		return nil
	case Failed:
		payload, err := readPayload(r, 64<<10)
		if err != nil {
			return err
		}
		failed := &StepFailed{}
		if err := json.Unmarshal(payload, failed); err != nil {
			return fmt.Errorf("decode failed step: %w", err)
		}
		return failed
	}
	return fmt.Errorf("bug: child began with frame %q", kind[0])
}

// Outcome is what a run says of itself.
type Outcome struct {
	Value   json.RawMessage
	Failure *pyexec.Failure // nil when there is a value
	Files   []pyexec.File
}

// ErrUnusable is returned for bytes that no honest run sends.
var ErrUnusable = errors.New("unusable bytes on the result pipe")

// ReadOutcome reads up to the frame that ends the run. io.EOF means that the
// pipe was closed without one; ErrUnusable that the bytes cannot be used.
func ReadOutcome(r io.Reader, l pyexec.Limits) (Outcome, error) {
	var out Outcome
	for {
		var kind [1]byte
		if _, err := io.ReadFull(r, kind[:]); err != nil {
			return Outcome{}, err
		}
		switch kind[0] {
		case Files:
			if out.Files != nil {
				return Outcome{}, ErrUnusable
			}
			// base64 grows by a third; paths and punctuation are small beside it.
			payload, err := readPayload(r, int64(l.OutputBytes)*4/3+int64(l.OutputFiles)*(8<<10)+1024)
			if err != nil {
				return Outcome{}, err
			}
			if out.Files, err = decodeFiles(payload, l); err != nil {
				return Outcome{}, err
			}
		case Result:
			payload, err := readPayload(r, int64(l.Result))
			if err != nil {
				return Outcome{}, err
			}
			if err := CheckJSON(payload, l.Depth); err != nil {
				return Outcome{}, err
			}
			out.Value = payload
			return out, nil
		case Error:
			payload, err := readPayload(r, 256<<10)
			if err != nil {
				return Outcome{}, err
			}
			if out.Failure, err = decodeFailure(payload, l); err != nil {
				return Outcome{}, err
			}
			return out, nil
		default:
			return Outcome{}, ErrUnusable
		}
	}
}

func readPayload(r io.Reader, limit int64) ([]byte, error) {
	var header [4]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return nil, short(err)
	}
	size := int64(binary.BigEndian.Uint32(header[:]))
	if size > limit {
		return nil, ErrUnusable
	}
	// Grown as bytes come: a length alone allocates nothing.
	payload, err := io.ReadAll(io.LimitReader(r, size))
	if err != nil {
		return nil, err
	}
	if int64(len(payload)) < size {
		return nil, io.ErrUnexpectedEOF
	}
	return payload, nil
}

func short(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// reportable are the failures that a run may report of itself. A timeout and a
// signal are told by the server's clock and the kernel alone.
var reportable = map[pyexec.FailureType]bool{
	pyexec.InvalidRequest: true, pyexec.SyntaxError: true, pyexec.MissingMain: true,
	pyexec.MissingReturn: true, pyexec.PolicyViolation: true, pyexec.Exception: true,
	pyexec.Exited: true, pyexec.InvalidResult: true, pyexec.MemoryLimit: true,
	pyexec.OutputLimit: true, pyexec.DiskLimit: true,
}

func decodeFailure(payload []byte, l pyexec.Limits) (*pyexec.Failure, error) {
	if CheckJSON(payload, 4) != nil {
		return nil, ErrUnusable
	}
	var f pyexec.Failure
	if err := json.Unmarshal(payload, &f); err != nil || !reportable[f.Type] {
		return nil, ErrUnusable
	}
	if f.Type == pyexec.Exited && (f.ExitStatus == nil || *f.ExitStatus < 0 || *f.ExitStatus > 255) {
		return nil, ErrUnusable
	}
	f = documented(f)
	const short = 256
	f.Message = Clip(f.Message, int(l.Message))
	f.Hint = Clip(f.Hint, int(l.Message))
	f.Path = Clip(f.Path, int(l.Message))
	f.SourceLine = Clip(f.SourceLine, int(l.Message))
	f.Traceback = Clip(f.Traceback, int(l.Traceback))
	f.Exception = Clip(f.Exception, short)
	f.Operation = Clip(f.Operation, short)
	f.Field = Clip(f.Field, short)
	f.Line, f.Column = max(f.Line, 0), max(f.Column, 0)
	return &f, nil
}

// documented keeps the fields that the HTTP contract gives the type: the
// others are not the run's to set.
func documented(f pyexec.Failure) pyexec.Failure {
	keep := pyexec.Failure{Type: f.Type, Message: f.Message, Hint: f.Hint}
	switch f.Type {
	case pyexec.InvalidRequest:
		keep.Field = f.Field
	case pyexec.SyntaxError:
		keep.Line, keep.Column, keep.SourceLine = f.Line, f.Column, f.SourceLine
	case pyexec.MissingMain, pyexec.MissingReturn:
		keep.Line = f.Line
	case pyexec.PolicyViolation:
		keep.Line, keep.Column, keep.Operation = f.Line, f.Column, f.Operation
	case pyexec.Exception:
		keep.Exception, keep.Line, keep.Traceback = f.Exception, f.Line, f.Traceback
	case pyexec.Exited:
		keep.ExitStatus = f.ExitStatus
	case pyexec.InvalidResult:
		keep.Path = f.Path
	}
	return keep
}

func decodeFiles(payload []byte, l pyexec.Limits) ([]pyexec.File, error) {
	if CheckJSON(payload, 4) != nil {
		return nil, ErrUnusable
	}
	var list []file
	if err := json.Unmarshal(payload, &list); err != nil || len(list) > l.OutputFiles {
		return nil, ErrUnusable
	}
	files := make([]pyexec.File, 0, len(list))
	var total pyexec.Bytes
	for _, f := range list {
		total += pyexec.Bytes(len(f.Content))
		// Who writes the files of an answer to disk must not be led elsewhere, nor
		// who prints their names: collect.py leaves out the same ones.
		if total > l.OutputBytes || len(f.Path) > 4096 || !fs.ValidPath(f.Path) || !strings.HasPrefix(f.Path, "output/") || strings.ContainsFunc(f.Path, misleading) {
			return nil, ErrUnusable
		}
		files = append(files, pyexec.File(f))
	}
	return files, nil
}

// misleading tells what in a name makes a terminal do something, a reader see
// another name, or Windows another folder.
func misleading(r rune) bool {
	return unicode.IsControl(r) || r == '\\' || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 // bidi embeddings, overrides, isolates
}

// Clip cuts s to at most n bytes of valid UTF-8.
func Clip(s string, n int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= n {
		return s
	}
	s = s[:n]
	for !utf8.ValidString(s) {
		s = s[:len(s)-1]
	}
	return s
}
