package contract

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// events holds a stream of server-sent events to the document as it is read:
// each must be one of the operation's x-events. The read that completes one
// that is not fails.
type events struct {
	io.ReadCloser
	base    string
	of      Exchange
	pending []byte // up to the end of an event
	err     error
}

func newEvents(body io.ReadCloser, base string, of Exchange) *events {
	return &events{ReadCloser: body, base: base, of: of}
}

// Read implements io.Reader.
func (e *events) Read(p []byte) (int, error) {
	if e.err != nil {
		return 0, e.err
	}
	n, err := e.ReadCloser.Read(p)
	e.pending = append(e.pending, p[:n]...)
	for {
		event, rest, ok := bytes.Cut(e.pending, []byte("\n\n"))
		if !ok {
			return n, err
		}
		e.pending = rest
		if e.err = e.check(string(event)); e.err != nil {
			return n, fmt.Errorf("contract: an event of %s %s: %w: %.500s", e.of.Method, e.of.Path, e.err, event)
		}
	}
}

func (e *events) check(event string) error {
	var name, data string
	for line := range strings.SplitSeq(event, "\n") {
		key, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch key {
		case "": // a comment
		case "event":
			name = value
		case "data":
			data += value
		default:
			return fmt.Errorf("the field %q", key)
		}
	}
	if name == "" && data == "" {
		return nil
	}
	d, err := documentOf(e.base)
	if err != nil {
		return err
	}
	at := []string{"paths", e.of.Path, strings.ToLower(e.of.Method), "responses", strconv.Itoa(e.of.Status), "content", "text/event-stream", "x-events"}
	known, _ := d.get(at...).(map[string]any)
	if known[name] == nil {
		return fmt.Errorf("the document has only the events %v", slices.Sorted(maps.Keys(known)))
	}
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(data))
	if err != nil {
		return err
	}
	if err := d.validate(append(at, name), value); err != nil || name != "error" {
		return err
	}
	// The rest of an error is the body of the plain answer.
	body, ok := value.(map[string]any)
	if !ok {
		return errors.New("not an object")
	}
	status := fmt.Sprint(body["status"])
	delete(body, "status")
	delete(body, "retry_after")
	response, at := d.resolve([]string{"paths", e.of.Path, strings.ToLower(e.of.Method), "responses", status})
	if response == nil {
		return fmt.Errorf("the document gives the operation no status %s", status)
	}
	return d.validate(append(slices.Clone(at), "content", "application/json", "schema"), body)
}
