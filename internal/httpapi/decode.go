package httpapi

import (
	"encoding/json"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/python-code-executor/pyexec"
)

// Bounds of a request's form that no operator has a reason to change.
const (
	maxPath      = 1024      // bytes of a file's path
	maxComponent = 255       // bytes of one name in it, what file systems allow
	maxEnvName   = 255       // bytes
	maxEnv       = 128 << 10 // bytes of all names and values together
)

// DecodeRequest reads the body of POST /execute. Anything about its form that
// is not exactly right is an *pyexec.Error that names the field and says what
// would be right; nothing is guessed or corrected. Fields that the body leaves
// out have the server's limits.
func DecodeRequest(body []byte, limits pyexec.Limits) (pyexec.Request, error) {
	d := decoder{limits: limits, req: pyexec.Request{Timeout: limits.Timeout, Memory: limits.Memory}}
	doc, err := document(body)
	if err != nil {
		return pyexec.Request{}, err
	}
	err = eachMember(doc, "", func(name string, v jsontext.Value) error {
		read, ok := fields[name]
		if !ok {
			return unknownField("", name, slices.Sorted(maps.Keys(fields)))
		}
		return read(&d, v, name)
	})
	if err != nil {
		return pyexec.Request{}, err
	}
	if !d.script {
		return pyexec.Request{}, invalid("script", "script is required: a string of Python source that defines main")
	}
	return d.req, nil
}

type decoder struct {
	limits pyexec.Limits
	req    pyexec.Request
	script bool // there was one
}

// fields are what a request may have.
var fields = map[string]func(d *decoder, v jsontext.Value, field string) error{
	"script":     (*decoder).readScript,
	"input":      (*decoder).readInput,
	"stdin":      (*decoder).readStdin,
	"files":      (*decoder).readFiles,
	"env":        (*decoder).readEnv,
	"timeout_ms": (*decoder).readTimeout,
	"memory_mb":  (*decoder).readMemory,
	"details":    (*decoder).readDetails,
	"network":    (*decoder).readNetwork,
}

func (d *decoder) readScript(v jsontext.Value, field string) (err error) {
	d.script = true
	d.req.Script, err = stringOf(v, field)
	switch {
	case err != nil:
		return err
	case len(d.req.Script) > int(d.limits.Script):
		return tooLarge(field, "the script", d.limits.Script)
	case strings.TrimSpace(d.req.Script) == "":
		return invalid(field, "script is empty: it must define main, such as def main(): return 1")
	case strings.Contains(d.req.Script, "\x00"):
		return invalid(field, "script contains a NUL character, which Python source cannot")
	}
	return nil
}

func (d *decoder) readInput(v jsontext.Value, field string) error {
	if deeperThan(v, d.limits.Depth) {
		return invalid(field, "input is nested deeper than %d levels", d.limits.Depth)
	}
	d.req.Input = json.RawMessage(slices.Clone(v))
	return nil
}

func (d *decoder) readStdin(v jsontext.Value, field string) (err error) {
	d.req.Stdin, err = stringOf(v, field)
	return err
}

func (d *decoder) readDetails(v jsontext.Value, field string) (err error) {
	d.req.Details, err = boolOf(v, field)
	return err
}

func (d *decoder) readTimeout(v jsontext.Value, field string) error {
	ms, err := integerOf(v, field, "milliseconds", 1, d.limits.Timeout.Milliseconds())
	d.req.Timeout = time.Duration(ms) * time.Millisecond
	return err
}

func (d *decoder) readMemory(v jsontext.Value, field string) error {
	mb, err := integerOf(v, field, "megabytes", d.limits.MinMemory.MB(), d.limits.Memory.MB())
	d.req.Memory = pyexec.Bytes(mb) * pyexec.MiB
	return err
}

// readEnv takes any names: the interpreter and the loader have read their own
// environment long before a run, so none of them steers more than the script.
func (d *decoder) readEnv(v jsontext.Value, field string) error {
	d.req.Env = map[string]string{}
	size := 0
	return eachMember(v, field, func(name string, v jsontext.Value) error {
		if !isEnvName(name) {
			return invalid(field+"."+name, "env has the name %q: use letters, digits and _, not starting with a digit", clip(name))
		}
		value, err := stringOf(v, field+"."+name)
		if err != nil {
			return err
		}
		if strings.Contains(value, "\x00") {
			return invalid(field+"."+name, "%s.%s contains a NUL character, which an environment variable cannot", field, clip(name))
		}
		if size += len(name) + len(value); size > maxEnv {
			return tooLarge(field, "env", maxEnv)
		}
		d.req.Env[name] = value
		return nil
	})
}

func isEnvName(s string) bool {
	for i, c := range s {
		letter := c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != "" && len(s) <= maxEnvName
}

func tooLarge(field, what string, limit pyexec.Bytes) error {
	return &pyexec.Error{
		Code:    pyexec.CodeTooLarge,
		Message: what + " may have at most " + limit.String(),
		Field:   field,
		Limit:   limit,
	}
}

// cleanPath says what is wrong with a file's path; "" when nothing is.
func cleanPath(p string) string {
	switch {
	case p == "":
		return "is empty"
	case strings.Contains(p, "\x00"):
		return "contains a NUL character"
	case len(p) > maxPath:
		return "is longer than 1024 bytes"
	case path.IsAbs(p):
		return "is absolute: use a path relative to the working directory"
	case slices.Contains(strings.Split(p, "/"), ".."):
		return "contains .., which may not leave the working directory"
	case path.Clean(p) != p || p == ".":
		return "is not clean: leave out empty parts, . and the slash at the end"
	}
	for part := range strings.SplitSeq(p, "/") {
		if len(part) > maxComponent {
			return "has a name longer than 255 bytes"
		}
	}
	return ""
}
