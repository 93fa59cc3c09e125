package e2etest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// Event is one of a stream of server-sent events. A comment has no name.
type Event struct {
	Name string
	Data string
}

// Text is what a stdout or stderr event carries.
func (e Event) Text() string {
	var data struct{ Text string }
	if json.Unmarshal([]byte(e.Data), &data) != nil {
		return ""
	}
	return data.Text
}

// Events reads a stream strictly: what the server has no reason to write is an
// error.
type Events struct{ lines *bufio.Reader }

// NewEvents reads the events of a body.
func NewEvents(body io.Reader) *Events { return &Events{bufio.NewReader(body)} }

// Next is the next event; io.EOF after a whole one is the end of the stream.
func (s *Events) Next() (Event, error) {
	var e Event
	for first := true; ; first = false {
		line, err := s.lines.ReadString('\n')
		switch {
		case err == io.EOF && first && line == "": //nolint:errorlint // ReadString does not wrap
			return e, io.EOF
		case err != nil:
			return e, fmt.Errorf("the stream broke within an event (%q): %w", line, err)
		}
		line = strings.TrimSuffix(line, "\n")
		field, value, _ := strings.Cut(line, ": ")
		switch {
		case line == "" && !first:
			return e, nil
		case field == "" && first:
			e.Data = value
		case field == "event" && first:
			e.Name = value
		case field == "data" && e.Name != "" && e.Data == "":
			e.Data = value
		default:
			return e, fmt.Errorf("%q has no place here", line)
		}
	}
}

// All reads to the end.
func (s *Events) All() ([]Event, error) {
	var all []Event
	for {
		e, err := s.Next()
		if err == io.EOF { //nolint:errorlint // Next does not wrap the end
			return all, nil
		}
		if err != nil {
			return all, err
		}
		all = append(all, e)
	}
}

// Printed puts the texts of the events of a name together.
func Printed(events []Event, name string) string {
	var all strings.Builder
	for _, e := range events {
		if e.Name == name {
			all.WriteString(e.Text())
		}
	}
	return all.String()
}

// StreamRequest is a POST /execute that asks for events.
func StreamRequest(baseURL, body string) (*http.Request, error) {
	req, err := http.NewRequest(http.MethodPost, baseURL+"/execute", strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "text/event-stream")
	return req, nil
}
