package httpapi

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/python-code-executor/pyexec"
)

// Bounds of a stream of events.
const (
	// pace is the least time between two writes of output: a script that
	// prints in a loop must not cost a system call and a packet a line.
	pace = 20 * time.Millisecond
	// gather is how long the first output is held for what belongs to it:
	// Python writes a line and its end by two calls.
	gather = time.Millisecond
	// maxEvent is the most text in one stdout or stderr event, in bytes, since
	// clients bound the lines that they read.
	maxEvent = 32 << 10
)

const eventStream = "text/event-stream"

// wantsStream tells whether the client prefers events to one JSON answer. It
// must name text/event-stream: a wildcard is not meant.
func wantsStream(r *http.Request) bool {
	stream, single := 0.0, 0.0
	streamFirst := false
	for _, value := range r.Header.Values("Accept") {
		for part := range strings.SplitSeq(value, ",") {
			kind, params, err := mime.ParseMediaType(part)
			if err != nil {
				continue
			}
			q := 1.0
			if s, ok := params["q"]; ok {
				if q, err = strconv.ParseFloat(s, 64); err != nil || math.IsNaN(q) {
					continue
				}
			}
			switch kind {
			case eventStream:
				stream, streamFirst = q, single == 0
			case "application/json":
				single = q
			}
		}
	}
	return stream > 0 && (stream > single || stream == single && streamFirst)
}

// stream answers with server-sent events. It begins when a child has the
// script, or with the first heartbeat of one that waits; a run that is refused
// before is answered as if there were no stream.
//
// What was printed waits here until the client takes it. The run never waits
// for the client, and the caps on output bound what is kept.
type stream struct {
	x         *exchange
	next      pyexec.Executor
	timeout   time.Duration // for the client to take what is written
	heartbeat time.Duration
	ran       bool  // there is a result, a failure of the script's included
	open      bool  // the header has been sent
	err       error // of a write; nothing is written after it

	wake    chan struct{}
	mu      sync.Mutex
	started bool            // a child has the script, or the run has ended in a result
	told    bool            // the client knows that it has started
	waiting [2]bytes.Buffer // printed and not sent, by pyexec.Stream
	first   pyexec.Stream   // of the two, that began to wait first
}

func newStream(x *exchange, opts Options) *stream {
	return &stream{
		x: x, next: opts.Executor, timeout: opts.WriteTimeout, heartbeat: opts.Heartbeat,
		wake: make(chan struct{}, 1),
	}
}

// Started implements pyexec.Watcher.
func (s *stream) Started() {
	s.mu.Lock()
	s.started = true
	s.mu.Unlock()
	s.stir()
}

// Printed implements pyexec.Watcher.
func (s *stream) Printed(from pyexec.Stream, text string) {
	s.mu.Lock()
	if s.waiting[pyexec.Stdout].Len()+s.waiting[pyexec.Stderr].Len() == 0 {
		s.first = from
	}
	s.waiting[from].WriteString(text)
	s.started = true // told by another goroutine, which may be late
	s.mu.Unlock()
	s.stir()
}

func (s *stream) stir() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// executed is what an executor came to.
type executed struct {
	res pyexec.Result
	err error
}

// execute runs req and sends what it prints meanwhile. A client that is gone,
// or takes nothing for too long, ends the run.
func (s *stream) execute(ctx context.Context, req pyexec.Request) (pyexec.Result, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	req.Watcher = s
	done := make(chan executed, 1)
	go func() {
		var out executed
		defer func() {
			if p := recover(); p != nil {
				out.err = panicError(p)
			}
			done <- out
		}()
		out.res, out.err = s.next.Execute(ctx, req)
	}()
	beat := time.NewTicker(s.heartbeat)
	defer beat.Stop()
	var due, rest <-chan time.Time // the next write of output, and the time after it
	wake := s.wake
	for {
		select {
		case out := <-done:
			if s.err != nil {
				return out.res, &pyexec.Error{Code: pyexec.CodeCanceled, Message: "the client does not take the stream", Err: s.err}
			}
			s.ran = out.err == nil
			return out.res, out.err
		case <-wake:
			wake, due = nil, time.After(gather)
		case <-due:
			s.sendOutput(time.Now().Add(s.timeout))
			due, rest = nil, time.After(pace)
			beat.Reset(s.heartbeat)
		case <-rest:
			wake, rest = s.wake, nil
		case <-beat.C:
			s.send(time.Now().Add(s.timeout), []byte(": waiting\n\n"))
		}
		if s.err != nil {
			cancel()
			wake, due, rest = nil, nil, nil
			beat.Stop()
		}
	}
}

// sendOutput sends what waits, and the start before it.
func (s *stream) sendOutput(deadline time.Time) {
	s.mu.Lock()
	tell := s.started && !s.told
	s.told = s.started
	order := []pyexec.Stream{s.first, 1 - s.first}
	var texts [2]string
	for _, from := range order {
		texts[from] = s.waiting[from].String()
		if s.waiting[from].Cap() > maxEvent {
			s.waiting[from] = bytes.Buffer{}
		}
		s.waiting[from].Reset()
	}
	s.mu.Unlock()
	var b bytes.Buffer
	if tell {
		b.WriteString(`event: started` + "\n" + `data: {"id":`)
		writeString(&b, s.x.id)
		b.WriteString("}\n\n")
	}
	for _, from := range order {
		name := [...]string{pyexec.Stdout: "stdout", pyexec.Stderr: "stderr"}[from]
		for text := texts[from]; text != ""; {
			n := cut(text, maxEvent)
			b.WriteString("event: " + name + "\n" + `data: {"text":`)
			writeString(&b, text[:n])
			b.WriteString("}\n\n")
			text = text[n:]
			if b.Len() >= maxEvent {
				s.send(deadline, b.Bytes())
				b.Reset()
			}
		}
	}
	if b.Len() > 0 {
		s.send(deadline, b.Bytes())
	}
}

// cut is the length of the longest beginning of s that has at most n bytes and
// ends with a whole character.
func cut(s string, n int) int {
	if len(s) <= n {
		return len(s)
	}
	for !utf8.RuneStart(s[n]) {
		n--
	}
	return n
}

// begun tells whether the answer is a stream by now.
func (s *stream) begun() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open || s.started || s.ran
}

// end sends what is left and then rep as the last event.
func (s *stream) end(rep reply) {
	deadline := time.Now().Add(s.timeout)
	s.sendOutput(deadline)
	t := s.x.timing
	head := fmt.Sprintf("event: timing\ndata: {\"queue_ms\":%.1f,\"spawn_ms\":%.1f,\"run_ms\":%.1f}\n\n",
		millis(t.Queue), millis(t.Spawn), millis(t.Run))
	body := rep.body
	if rep.status == http.StatusOK {
		head += "event: result\ndata: "
	} else {
		head += fmt.Sprintf("event: error\ndata: {\"status\":%d,", rep.status)
		if rep.retryAfter > 0 {
			head += fmt.Sprintf(`"retry_after":%d,`, seconds(rep.retryAfter))
		}
		body = body[1:] // its brace
	}
	s.send(deadline, []byte(head), oneLine(body), []byte("\n\n"))
}

// oneLine makes JSON fit into a line: as white space between its tokens, where
// alone they can be, line breaks and blanks are the same.
func oneLine(doc []byte) []byte {
	if !bytes.ContainsAny(doc, "\r\n") {
		return doc
	}
	return bytes.Map(func(r rune) rune {
		if r == '\r' || r == '\n' {
			return ' '
		}
		return r
	}, doc)
}

// send writes and flushes; before the first time it sends the header.
func (s *stream) send(deadline time.Time, parts ...[]byte) {
	if !s.open {
		s.open = true
		h := s.x.w.Header()
		s.x.commonHeader(h)
		h.Set("Content-Type", eventStream)
		h.Set("X-Accel-Buffering", "no") // nginx would keep the events to itself
		s.x.w.WriteHeader(http.StatusOK)
	}
	_ = s.x.control.SetWriteDeadline(deadline)
	for _, part := range parts {
		if s.err == nil && len(part) > 0 {
			var n int
			n, s.err = s.x.w.Write(part)
			s.x.bytesOut += n
		}
	}
	if s.err == nil {
		s.err = s.x.control.Flush()
	}
}
