package auth

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/python-code-executor/pyexec"
)

// table is a keys file, for looking up.
type table struct {
	keys     map[string]owned // by id
	subjects map[string]pyexec.Caller
}

type owned struct {
	key    Key
	caller pyexec.Caller
}

func newTable(f File) *table {
	t := &table{keys: map[string]owned{}, subjects: map[string]pyexec.Caller{}}
	for _, e := range f.Callers {
		for _, k := range e.Keys {
			t.keys[k.ID] = owned{k, e.Caller}
		}
		for _, s := range e.Subjects {
			t.subjects[s] = e.Caller
		}
	}
	return t
}

// keysFile follows a file: each request sees it as it is at that moment, so
// that a key that was taken out is refused from the next request on.
//
// A file that cannot be read or has a fault lets nobody in until it is right:
// going on with an old copy would accept keys that the operator believes
// revoked, and nobody would notice.
type keysFile struct {
	path  string
	check Check

	mu     sync.Mutex
	stamp  stamp
	looked time.Time // when the file of this stamp was read
	text   []byte
	table  *table
	err    error
}

func openKeysFile(path string, check Check) (*keysFile, error) {
	k := &keysFile{path: path, check: check}
	if _, err := k.load(); err != nil {
		return nil, err
	}
	return k, nil
}

func (k *keysFile) empty() bool { return len(k.table.keys) == 0 }

// caller is whose key it is. Every refusal has the same message: whether an id
// exists is nobody's business but the log's.
func (k *keysFile) caller(presented pyexec.Secret, now time.Time) (pyexec.Caller, error) {
	t, err := k.current()
	if err != nil {
		return pyexec.Caller{}, err
	}
	o, known := t.keys[keyID(presented.Reveal())]
	same := o.key.matches(presented) // an id that is unknown takes as long
	const invalid = "the key is not valid"
	switch {
	case !known:
		return pyexec.Caller{}, refused(invalid, errors.New("no key has this id"))
	case !same:
		return pyexec.Caller{}, refused(invalid, errors.New("the id is that of a key, the secret is not"))
	case o.key.expired(now):
		return pyexec.Caller{}, refused(invalid, fmt.Errorf("the key of %s has expired", o.caller.Name))
	}
	c := o.caller
	c.Key = o.key.ID
	return c, nil
}

func (k *keysFile) current() (*table, error) {
	t, err := k.load()
	if err != nil {
		return nil, unavailable("the server cannot check keys at the moment", err)
	}
	return t, nil
}

// stamp is what tells a file from what it was before. The time of its change
// is the kernel's: that of its content can be set by whoever writes it.
type stamp struct {
	dev, inode        uint64
	size              int64
	modified, changed int64 // in nanoseconds
}

func stampOf(path string) (stamp, error) {
	var s unix.Stat_t
	if err := unix.Stat(path, &s); err != nil {
		return stamp{}, &os.PathError{Op: "stat", Path: path, Err: err}
	}
	return stamp{dev: s.Dev, inode: s.Ino, size: s.Size, modified: s.Mtim.Nano(), changed: s.Ctim.Nano()}, nil
}

// sameTick is the time within which two writes may leave a file with the same
// times: one that was read so shortly after a write is read again.
const sameTick = 2 * time.Second

// settled tells whether a later write will have another time.
func (s stamp) settled(looked time.Time) bool {
	return looked.Sub(time.Unix(0, max(s.modified, s.changed))) > sameTick
}

// load is the table of the file as it is now.
func (k *keysFile) load() (*table, error) {
	now, err := stampOf(k.path)
	if err != nil {
		return nil, fmt.Errorf("keys-file: %w", err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if now == k.stamp && now.settled(k.looked) {
		return k.table, k.err
	}
	looked := time.Now()
	text, err := ReadRegular(k.path)
	if err != nil {
		k.stamp = stamp{}
		return nil, fmt.Errorf("keys-file: %w", err)
	}
	if k.text == nil || !bytes.Equal(k.text, text) {
		k.text = text
		f, err := ParseFile(text, k.check)
		k.table, k.err = newTable(f), nil
		if err != nil {
			k.table, k.err = nil, fmt.Errorf("keys-file %s:\n%w", k.path, err)
		}
	}
	k.stamp, k.looked = now, looked
	return k.table, k.err
}

// maxFile bounds what is read: some ten thousand keys.
const maxFile = 4 << 20

// ReadRegular reads a file that is to be read again when it has changed: a regular
// one of at most 4 MiB. A pipe is refused, since its writer would be waited for.
func ReadRegular(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file, which alone can be read again when it has changed", path)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = fmt.Errorf("%s is larger than %v", path, pyexec.Bytes(maxFile))
	}
	return text, err
}
