package wire

import (
	"bytes"
	"errors"
	"hash/maphash"
	"io"

	"github.com/go-json-experiment/json/jsontext"
)

// CheckJSON reports whether payload is one JSON value by RFC 8259, in valid
// UTF-8, without a duplicate key, nested no deeper than depth.
func CheckJSON(payload []byte, depth int) error {
	// Keys are known by a hash with a secret of this call, which takes a third of
	// the memory that the decoder would keep them in.
	d := jsontext.NewDecoder(bytes.NewBuffer(payload), jsontext.AllowDuplicateNames(true))
	seed := maphash.MakeSeed()
	keys := make([]map[uint64]struct{}, depth+1)
	for {
		token, err := d.ReadToken()
		at := d.StackDepth()
		if err != nil || at > depth {
			return ErrUnusable
		}
		kind, count := d.StackIndex(at)
		switch token.Kind() {
		case jsontext.KindBeginObject:
			keys[at] = map[uint64]struct{}{}
		case jsontext.KindString:
			if kind != jsontext.KindBeginObject || count%2 == 0 { // no name
				break
			}
			name := maphash.String(seed, token.String())
			if _, found := keys[at][name]; found {
				return ErrUnusable
			}
			keys[at][name] = struct{}{}
		}
		if at == 0 {
			break
		}
	}
	if _, err := d.ReadToken(); !errors.Is(err, io.EOF) {
		return ErrUnusable
	}
	return nil
}
