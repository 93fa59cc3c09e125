package wire

import (
	"fmt"
	"io"
)

// Begun is the child's word that it has the whole request and will now run
// the script. It has no payload, and no user code has run when it is sent.
const Begun = 'B'

// ReadBegun waits for it. io.EOF means that the child died before, so that
// the run may be given to another one.
func ReadBegun(r io.Reader) error {
	var kind [1]byte
	if _, err := io.ReadFull(r, kind[:]); err != nil {
		return err
	}
	if kind[0] != Begun {
		return fmt.Errorf("bug: child began a run with frame %q", kind[0])
	}
	return nil
}
