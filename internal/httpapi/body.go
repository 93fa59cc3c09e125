package httpapi

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/python-code-executor/pyexec"
)

// acceptable checks what the headers say about the body, before a byte of it
// is read (and so before a 100 Continue).
//
// Content-Type is required because browsers send forms and blobs to any site
// without asking it first, but never application/json.
func acceptable(r *http.Request) error {
	types := r.Header.Values("Content-Type")
	if len(types) != 1 {
		return unsupported("send the header Content-Type: application/json, once")
	}
	kind, params, err := mime.ParseMediaType(types[0])
	if err != nil || kind != "application/json" {
		return unsupported("the body must be application/json")
	}
	if charset, ok := params["charset"]; ok && !strings.EqualFold(charset, "utf-8") {
		return unsupported("the body must be JSON in UTF-8")
	}
	for _, encoding := range r.Header.Values("Content-Encoding") {
		if !strings.EqualFold(strings.TrimSpace(encoding), "identity") {
			return unsupported("the body must not be compressed: leave out Content-Encoding")
		}
	}
	return nil
}

func unsupported(message string) error {
	return &pyexec.Error{Code: pyexec.CodeUnsupportedMediaType, Message: message}
}

// readBody reads all of the body, at most limit bytes, within the time that
// the read deadline gives.
func (x *exchange) readBody(limit int64) ([]byte, error) {
	if x.r.ContentLength > limit {
		return nil, tooLarge("", "the request body", pyexec.Bytes(limit))
	}
	var buf bytes.Buffer
	buf.Grow(int(min(max(x.r.ContentLength, 0), 64<<10)) + bytes.MinRead)
	_, err := buf.ReadFrom(io.LimitReader(x.r.Body, limit+1))
	x.bytesIn = buf.Len()
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, bodyError("the request body did not arrive in time", err)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil, bodyError("the request body ended before its announced length", err)
	case err != nil:
		return nil, bodyError("the framing of the request body is malformed", err)
	case int64(buf.Len()) > limit:
		return nil, tooLarge("", "the request body", pyexec.Bytes(limit))
	}
	x.bodyRead = true
	// The body's deadline must not outlive it: net/http goes on reading to
	// see the client leave, and would take a timeout for that.
	_ = x.control.SetReadDeadline(time.Time{})
	return buf.Bytes(), nil
}

func bodyError(message string, err error) error {
	return &pyexec.Error{Code: pyexec.CodeInvalidRequest, Message: message, Err: err}
}

// Bounds of linger.
const (
	lingerTime  = time.Second
	lingerBytes = 64 << 20
)

// linger reads on for a moment after an answer that came before the end of
// the body. A connection closed with unread bytes is reset, and many clients
// (Python's among them) send all of a body before they read: they would see
// a broken connection in place of the 413 that tells what is wrong.
func (a *API) linger(x *exchange) {
	if x.bodyRead || x.r.ProtoMajor > 1 || x.r.Header.Get("Expect") != "" {
		return
	}
	_ = x.control.SetReadDeadline(time.Now().Add(lingerTime))
	_, _ = io.CopyN(io.Discard, x.r.Body, lingerBytes)
}

// drainBytes is what drain reads at most.
const drainBytes = 64 << 10

// drain reads a small rest of the body for the connection's sake: a client
// over its rate would otherwise pay, and cost, a handshake for each refusal.
func (x *exchange) drain() {
	n := x.r.ContentLength
	if x.bodyRead || x.r.ProtoMajor > 1 || n < 0 || n > drainBytes || x.r.Header.Get("Expect") != "" {
		return
	}
	_ = x.control.SetReadDeadline(time.Now().Add(lingerTime))
	if _, err := io.CopyN(io.Discard, x.r.Body, n); err == nil {
		x.bodyRead = true
		_ = x.control.SetReadDeadline(time.Time{})
	}
}

// closing prepares an answer before the end of the body: it is written at
// once, without reading the rest, and is the last one on its connection.
func (x *exchange) closing(h http.Header) {
	if !x.bodyRead && x.r.ProtoMajor == 1 { // of HTTP/2 it is only the stream's end
		h.Set("Connection", "close")
		_ = x.control.EnableFullDuplex() // else net/http closes the body, and linger could not read it
	}
}
