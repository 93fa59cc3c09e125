package auth

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"go.yaml.in/yaml/v3"
	"golang.org/x/sys/unix"
)

// AddKey writes k into the file at path as a key of the caller, who is made if
// he is not there. What else is in the file stays, comments included.
func AddKey(path, caller string, k Key) error {
	return edit(path, func(doc *yaml.Node) error {
		keys := child(callerNode(doc, caller), "keys", yaml.SequenceNode)
		keys.Style = 0
		row := &yaml.Node{Kind: yaml.MappingNode}
		add := func(name, value string) {
			row.Content = append(row.Content, scalar(name), scalar(value))
		}
		add("id", k.ID)
		add("sha256", k.hashText())
		add("created", k.Created.Format(time.RFC3339))
		if !k.Expires.IsZero() {
			add("expires", k.Expires.UTC().Format(time.RFC3339))
		}
		if k.Note != "" {
			add("note", k.Note)
		}
		keys.Content = append(keys.Content, row)
		return nil
	})
}

// ErrNoKey means that no key has the id.
var ErrNoKey = errors.New("no key has this id")

// RevokeKey takes the key out of the file.
func RevokeKey(path, id string) error {
	return edit(path, func(doc *yaml.Node) error {
		for _, c := range child(doc.Content[0], "callers", yaml.SequenceNode).Content {
			keys := child(c, "keys", yaml.SequenceNode)
			for i, row := range keys.Content {
				if field(row, "id") == id {
					keys.Content = append(keys.Content[:i], keys.Content[i+1:]...)
					if len(keys.Content) == 0 {
						keys.Style = yaml.FlowStyle
					}
					return nil
				}
			}
		}
		return fmt.Errorf("%w: %q", ErrNoKey, id)
	})
}

// ReadFile reads the file at path.
func ReadFile(path string) (File, error) {
	text, err := ReadRegular(path)
	if err != nil {
		return File{}, err
	}
	f, err := ParseFile(text, Check{})
	if err != nil {
		return File{}, fmt.Errorf("%s:\n%w", path, err)
	}
	return f, nil
}

// edit changes the file as a whole: a server that reads it meanwhile sees the
// old one or the new one. Of two editors, one waits for the other.
func edit(path string, change func(doc *yaml.Node) error) error {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := unix.Flock(int(dir.Fd()), unix.LOCK_EX); err != nil {
		return fmt.Errorf("lock %s: %w", filepath.Dir(path), err)
	}
	mode := fs.FileMode(0o600)
	text, err := ReadRegular(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		text = nil
	case err != nil:
		return err
	default:
		if info, err := os.Stat(path); err == nil {
			mode = info.Mode().Perm()
		}
	}
	if _, err := ParseFile(text, Check{}); err != nil {
		return fmt.Errorf("%s:\n%w", path, err)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if len(doc.Content) == 0 || empty(doc.Content[0]) {
		doc = yaml.Node{Kind: yaml.DocumentNode, Content: []*yaml.Node{{Kind: yaml.MappingNode}}, HeadComment: doc.HeadComment}
	}
	if err := change(&doc); err != nil {
		return err
	}
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := errors.Join(enc.Encode(&doc), enc.Close()); err != nil {
		return err
	}
	if _, err := ParseFile(b.Bytes(), Check{}); err != nil {
		return fmt.Errorf("bug: the edited file: %w", err)
	}
	return replace(path, b.Bytes(), mode)
}

// replace writes the file anew beside the old one and renames it over that.
// The owner stays, so that root may edit a file that a server reads as another
// user.
func replace(path string, text []byte, mode fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".keys-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // nothing, once renamed
	_, err = f.Write(text)
	err = errors.Join(err, f.Chmod(mode))
	var old unix.Stat_t
	if unix.Stat(path, &old) == nil && (int(old.Uid) != os.Geteuid() || int(old.Gid) != os.Getegid()) {
		err = errors.Join(err, f.Chown(int(old.Uid), int(old.Gid)))
	}
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

func scalar(value string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(value)
	return n
}

// field is the scalar of a key in a mapping.
func field(n *yaml.Node, name string) string {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			return n.Content[i+1].Value
		}
	}
	return ""
}

// child is the value of a key in a mapping, which is made when it is missing.
func child(n *yaml.Node, name string, kind yaml.Kind) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			if value := n.Content[i+1]; value.Kind != kind {
				*value = yaml.Node{Kind: kind} // it was empty: ParseFile lets nothing else pass
			}
			return n.Content[i+1]
		}
	}
	value := &yaml.Node{Kind: kind}
	n.Content = append(n.Content, scalar(name), value)
	return value
}

func callerNode(doc *yaml.Node, name string) *yaml.Node {
	callers := child(doc.Content[0], "callers", yaml.SequenceNode)
	callers.Style = 0
	for _, c := range callers.Content {
		if field(c, "name") == name {
			return c
		}
	}
	c := &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{scalar("name"), scalar(name)}}
	callers.Content = append(callers.Content, c)
	return c
}
