package httpapi

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/python-code-executor/pyexec"
)

// reply is an answer that is ready to be written.
type reply struct {
	status     int
	header     http.Header // instead of what is set for every answer
	body       []byte
	outcome    string // "ok" or the error's type, for the log
	code       pyexec.Code
	allow      string
	retryAfter time.Duration
	cause      error // for the log alone
}

// commonHeader sets what every answer has.
func (x *exchange) commonHeader(h http.Header) {
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Request-Id", x.id)
}

// write sends rep with the headers that every answer has, or ends the stream
// with it.
func (a *API) write(x *exchange, rep reply) {
	if x.stream != nil && x.stream.begun() {
		x.stream.end(rep)
		return
	}
	h := x.w.Header()
	if rep.status != http.StatusNoContent {
		h.Set("Content-Type", "application/json")
		h.Set("Content-Length", strconv.Itoa(len(rep.body)))
	}
	x.commonHeader(h)
	for name, values := range rep.header {
		if name == "Vary" {
			values = append(h[name], values...)
		}
		h[name] = values
	}
	if rep.allow != "" {
		h.Set("Allow", rep.allow)
	}
	if rep.retryAfter > 0 {
		h.Set("Retry-After", strconv.FormatInt(seconds(rep.retryAfter), 10))
	}
	if x.route == "execute" {
		h.Set("Server-Timing", fmt.Sprintf("queue;dur=%.1f, spawn;dur=%.1f, run;dur=%.1f",
			millis(x.timing.Queue), millis(x.timing.Spawn), millis(x.timing.Run)))
		if x.isolation != "" {
			h.Set("X-Isolation", x.isolation)
		}
	}
	if rep.status == http.StatusTooManyRequests {
		x.drain()
	}
	x.closing(h)
	_ = x.control.SetWriteDeadline(time.Now().Add(a.opts.WriteTimeout))
	x.w.WriteHeader(rep.status)
	x.bytesOut = len(rep.body)
	if _, err := x.w.Write(rep.body); err == nil && !x.bodyRead {
		_ = x.control.Flush() // the client must have it before linger begins
	}
}

// seconds rounds up, as Retry-After wants it.
func seconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }

// ran is the answer for a run, whatever it came to.
func (x *exchange) ran(req pyexec.Request, res pyexec.Result) reply {
	rep := reply{status: http.StatusOK, outcome: "ok"}
	var b bytes.Buffer
	b.Grow(len(res.Value) + len(res.Stdout) + len(res.Stderr) + 512)
	switch {
	case res.Failure != nil:
		rep.status, rep.outcome = statusFailure, string(res.Failure.Type)
		b.WriteString(`{"error":`)
		writeJSON(&b, res.Failure)
	case len(res.Value) == 0:
		return x.failed(errors.New("bug: a result without value and failure"))
	default:
		b.WriteString(`{"result":`)
		b.Write(res.Value)
	}
	b.WriteString(`,"stdout":`)
	writeString(&b, res.Stdout)
	if req.Details {
		writeDetails(&b, req.ID, res)
	}
	b.WriteByte('}')
	rep.body = b.Bytes()
	return rep
}

// writeDetails appends the members that details: true adds.
func writeDetails(b *bytes.Buffer, id string, res pyexec.Result) {
	b.WriteString(`,"id":`)
	writeString(b, id)
	b.WriteString(`,"stderr":`)
	writeString(b, res.Stderr)
	b.WriteString(`,"usage":`)
	writeJSON(b, struct {
		Wall   int64 `json:"wall_ms"`
		CPU    int64 `json:"cpu_ms"`
		Memory int64 `json:"memory_bytes"`
		Queue  int64 `json:"queue_ms"`
	}{res.Usage.Wall.Milliseconds(), res.Usage.CPU.Milliseconds(), int64(res.Usage.Memory), res.Timing.Queue.Milliseconds()})
	if res.Truncated != (pyexec.Truncated{}) {
		b.WriteString(`,"truncated":`)
		writeJSON(b, struct {
			Stdout int64 `json:"stdout,omitempty"`
			Stderr int64 `json:"stderr,omitempty"`
		}(res.Truncated))
	}
	b.WriteString(`,"files":`)
	writeFiles(b, res.Files)
	b.WriteString(`,"isolation":`)
	writeJSON(b, newIsolation(res.Isolation))
}

// writeFiles makes no copy of the content on its way to the answer: those of an
// object, an encoder and a growing buffer were half of what the largest answers
// took of the server's memory.
func writeFiles(b *bytes.Buffer, files []pyexec.File) {
	size := 0
	for _, f := range files {
		size += base64.StdEncoding.EncodedLen(len(f.Content)) + 2*len(f.Path) + 128
	}
	b.Grow(size)
	b.WriteByte('[')
	for i, f := range files {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(`{"path":`)
		writeString(b, f.Path)
		b.WriteString(`,"content_base64":"`)
		b.Grow(base64.StdEncoding.EncodedLen(len(f.Content)))
		b.Write(base64.StdEncoding.AppendEncode(b.AvailableBuffer(), f.Content))
		b.WriteString(`","size":` + strconv.Itoa(len(f.Content)) + `,"media_type":`)
		writeString(b, mediaType(f.Path))
		b.WriteByte('}')
	}
	b.WriteByte(']')
}

// serviceError is the "error" object of what is not the script's doing.
type serviceError struct {
	Type      pyexec.Code `json:"type"`
	Message   string      `json:"message"`
	Field     string      `json:"field,omitempty"`
	Limit     int64       `json:"limit_bytes,omitempty"`
	Started   *bool       `json:"started,omitempty"`
	RequestID string      `json:"request_id,omitempty"`
}

// failed is the answer for err. What is not an *pyexec.Error is internal, of
// which only the request id is shown.
func (x *exchange) failed(err error) reply {
	var e *pyexec.Error
	if !errors.As(err, &e) {
		e = &pyexec.Error{Code: pyexec.CodeInternal}
	}
	status, ok := statuses[e.Code]
	if !ok {
		status = http.StatusInternalServerError
	}
	rep := reply{status: status, outcome: string(e.Code), code: e.Code}
	shown := serviceError{Type: e.Code, Message: e.Message, Field: e.Field, Limit: int64(e.Limit)}
	switch status {
	case statusClientGone:
		return rep
	case http.StatusInternalServerError:
		rep.code, rep.outcome, rep.cause = pyexec.CodeInternal, string(pyexec.CodeInternal), err
		shown = serviceError{Type: pyexec.CodeInternal, Message: "internal error", RequestID: x.id}
	case http.StatusServiceUnavailable:
		shown.Started = &e.Started
		rep.cause = e.Err
	case http.StatusUnauthorized, http.StatusForbidden: // an attack, or an operator's mistake: the log should tell which
		if rep.cause = e.Err; rep.cause == nil {
			rep.cause = errors.New(e.Message)
		}
	}
	if retryable(e) {
		rep.retryAfter = max(e.RetryAfter, time.Second)
	}
	rep.body = x.errorBody(shown)
	return rep
}

// wrongMethod is a 405, which must name the methods there are.
func (x *exchange) wrongMethod(methods []string) reply {
	allow := strings.Join(methods, ", ")
	rep := x.failed(&pyexec.Error{Code: pyexec.CodeMethodNotAllowed, Message: "this path takes only " + allow})
	rep.allow = allow
	return rep
}

func (x *exchange) errorBody(e serviceError) []byte {
	var b bytes.Buffer
	b.WriteString(`{"error":`)
	writeJSON(&b, e)
	if x.route == "execute" {
		b.WriteString(`,"stdout":`)
		writeString(&b, x.stdout)
	}
	b.WriteByte('}')
	return b.Bytes()
}

// writeJSON appends v, which is of our own types and so always encodes.
// Invalid UTF-8 in it becomes U+FFFD.
func writeJSON(b *bytes.Buffer, v any) {
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(fmt.Errorf("bug: encode %T: %w", v, err))
	}
	b.Truncate(b.Len() - 1) // Encode's newline
}

// writeString appends s as a JSON string. Invalid UTF-8 becomes U+FFFD; the
// error says only that there was some.
func writeString(b *bytes.Buffer, s string) {
	quoted, _ := jsontext.AppendQuote(b.AvailableBuffer(), s)
	b.Write(quoted)
}
