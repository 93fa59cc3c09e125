package httpapi

import (
	"fmt"
	"path"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/python-code-executor/pyexec"
)

// tree is the files of a request and the directories they imply.
type tree struct {
	files, dirs map[string]bool
	size        pyexec.Bytes
}

func (d *decoder) readFiles(v jsontext.Value, field string) error {
	t := tree{files: map[string]bool{}, dirs: map[string]bool{}}
	return eachElement(v, field, func(i int, v jsontext.Value) error {
		at := fmt.Sprintf("%s[%d]", field, i)
		file, err := readFile(v, at)
		if err != nil {
			return err
		}
		if wrong := t.add(file); wrong != "" {
			return invalid(at+".path", "%s.path %s", at, wrong)
		}
		if len(t.files)+len(t.dirs) > d.limits.DiskFiles {
			return invalid(field, "files has more than %d files and directories", d.limits.DiskFiles)
		}
		if t.size > d.limits.Disk {
			return tooLarge(field, "files together", d.limits.Disk)
		}
		d.req.Files = append(d.req.Files, file)
		return nil
	})
}

var fileFields = []string{"content", "content_base64", "path"}

func readFile(v jsontext.Value, at string) (pyexec.File, error) {
	var file pyexec.File
	hasPath, contents := false, 0
	err := eachMember(v, at, func(name string, v jsontext.Value) (err error) {
		field := at + "." + name
		switch name {
		case "path":
			hasPath = true
			file.Path, err = stringOf(v, field)
		case "content":
			contents++
			var text string
			text, err = stringOf(v, field)
			file.Content = []byte(text)
		case "content_base64":
			contents++
			file.Content, err = base64Of(v, field)
		default:
			err = unknownField(at, name, fileFields)
		}
		return err
	})
	switch {
	case err != nil:
		return file, err
	case !hasPath:
		return file, invalid(at+".path", "%s.path is required: a relative path", at)
	case contents != 1:
		return file, invalid(at, "%s must have one of content (text) and content_base64 (bytes)", at)
	}
	return file, nil
}

// add returns what is wrong with the file's path, or "".
func (t *tree) add(f pyexec.File) string {
	if wrong := cleanPath(f.Path); wrong != "" {
		return wrong
	}
	switch {
	case t.files[f.Path]:
		return "is the path of an earlier file as well"
	case t.dirs[f.Path]:
		return "is a directory of an earlier file"
	}
	for dir := path.Dir(f.Path); dir != "."; dir = path.Dir(dir) {
		if t.files[dir] {
			return "has an earlier file as its directory"
		}
		t.dirs[dir] = true
	}
	t.files[f.Path] = true
	t.size += pyexec.Bytes(len(f.Content))
	return ""
}
