package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"
)

// Event is something that a run does while it goes on.
type Event struct {
	Kind EventKind
	Text string // printed; "" of Started
}

// EventKind is what an event tells.
type EventKind string

// The kinds of events.
const (
	Started EventKind = "started" // a sandbox has the script
	Stdout  EventKind = "stdout"
	Stderr  EventKind = "stderr"
)

// Stream is Execute that tells of the run while it goes on: on is called for
// each event, in order. An error of on ends the run and is returned. A server
// that does not stream is heard all the same, at the end.
func (c *Client) Stream(ctx context.Context, req Request, on func(Event) error) (*Result, error) {
	body, err := req.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("request: %w", err)
	}
	var res Result
	err = c.retried(ctx, func() error {
		answer, err := c.send(ctx, http.MethodPost, "/execute", "text/event-stream, application/json;q=0.9", body)
		if err != nil {
			return err
		}
		defer answer.Body.Close() // before the stream's end it ends the run
		if kind, _, _ := mime.ParseMediaType(answer.Header.Get("Content-Type")); kind == "text/event-stream" {
			return listen(answer, &res, on)
		}
		return unstreamed(decode(answer, &res), &res, on)
	})
	if err != nil {
		return nil, err
	}
	return &res, nil
}

// unstreamed tells of a run that is over.
func unstreamed(err error, res *Result, on func(Event) error) error {
	out, details := res.Stdout, res.Details
	var failed *Error
	if errors.As(err, &failed) {
		out, details = failed.Stdout, failed.Details
	} else if err != nil {
		return err
	}
	for _, e := range []Event{{Stdout, out}, {Stderr, details.Stderr}} {
		if e.Text == "" {
			continue
		}
		if stop := on(e); stop != nil {
			return stop
		}
	}
	return err
}

// listen reads events to the last one, which is the answer.
func listen(answer *http.Response, res *Result, on func(Event) error) error {
	r := bufio.NewReader(&bounded{answer.Body, maxStream})
	for {
		name, data, err := readEvent(r)
		if err != nil {
			return fmt.Errorf("the stream ended before the result: %w", err)
		}
		switch name {
		case "result":
			return readResult(answer, data, res)
		case "error":
			return streamedError(answer, data)
		case string(Started), string(Stdout), string(Stderr):
			var e struct {
				Text string `json:"text"`
			}
			if err := json.Unmarshal(data, &e); err != nil {
				return fmt.Errorf("event %s: %w", name, err)
			}
			if err := on(Event{EventKind(name), e.Text}); err != nil {
				return err
			}
		}
	}
}

func streamedError(answer *http.Response, data []byte) error {
	var head struct {
		Status     int   `json:"status"`
		RetryAfter int64 `json:"retry_after"`
	}
	e := &Error{}
	if json.Unmarshal(data, &head) != nil || !e.read(data) {
		return fmt.Errorf("event error is not one of python-code-executor: %.200q", data)
	}
	e.Status, e.Body, e.RequestID = head.Status, data, answer.Header.Get("X-Request-Id")
	e.RetryAfter = time.Duration(head.RetryAfter) * time.Second
	return e
}

// readEvent reads one server-sent event, of the fields that are used here
// (https://html.spec.whatwg.org/multipage/server-sent-events.html).
func readEvent(r *bufio.Reader) (name string, data []byte, err error) {
	var lines [][]byte
	for {
		line, err := r.ReadBytes('\n')
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return "", nil, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			if name == "" && lines == nil {
				continue // after a comment, which heartbeats are
			}
			return name, bytes.Join(lines, []byte("\n")), nil
		}
		field, value, _ := strings.Cut(string(line), ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "event":
			name = value
		case "data":
			lines = append(lines, []byte(value))
		}
	}
}

// maxStream bounds a whole stream: the answer, and what was printed once more.
const maxStream = 2 * maxAnswer

// bounded fails, rather than ends, where more than left is read.
type bounded struct {
	r    io.Reader
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, fmt.Errorf("the answer is larger than %d bytes", maxStream)
	}
	return n, err
}
