package wire

import (
	"bytes"
	"errors"
	"io"

	"github.com/go-json-experiment/json/jsontext"
)

// CheckJSON reports whether payload is one JSON value by RFC 8259, in valid
// UTF-8, without a duplicate key, nested no deeper than depth.
func CheckJSON(payload []byte, depth int) error {
	d := jsontext.NewDecoder(bytes.NewBuffer(payload))
	for {
		_, err := d.ReadToken()
		if err != nil || d.StackDepth() > depth {
			return ErrUnusable
		}
		if d.StackDepth() == 0 {
			break
		}
	}
	if _, err := d.ReadToken(); !errors.Is(err, io.EOF) {
		return ErrUnusable
	}
	return nil
}
