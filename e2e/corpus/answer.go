package corpus

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/python-code-executor/pyexec/e2e/e2etest/strictjson"
)

// Answer is what came back for one script.
type Answer struct {
	Status  int
	Header  http.Header
	Body    []byte
	Elapsed time.Duration
	Timeout time.Duration // what the request asked for
	Details bool          // the request asked for them
	Err     error         // no answer at all

	value any
	bad   error // why Body is not JSON
}

// read parses the body, strictly, once.
func (a *Answer) read() {
	a.value, a.bad = strictjson.Parse(a.Body)
}

func (a *Answer) object() map[string]any {
	object, _ := a.value.(map[string]any)
	return object
}

func (a *Answer) failure() map[string]any {
	failure, _ := a.object()["error"].(map[string]any)
	return failure
}

// Type is the error type, "" for a result.
func (a *Answer) Type() string {
	kind, _ := a.failure()["type"].(string)
	return kind
}

// Stdout is what the script printed.
func (a *Answer) Stdout() string {
	stdout, _ := a.object()["stdout"].(string)
	return stdout
}

// Message is the error's message.
func (a *Answer) Message() string {
	message, _ := a.failure()["message"].(string)
	return message
}

// contained is result["contained"], and whether there is one.
func (a *Answer) contained() (value, present bool) {
	result, _ := a.object()["result"].(map[string]any)
	value, present = result["contained"].(bool)
	return value, present
}

// String is the answer in one line.
func (a *Answer) String() string {
	if a.Err != nil {
		return "no answer: " + a.Err.Error()
	}
	return fmt.Sprintf("%d %s", a.Status, strictjson.Cut(string(a.Body), 600))
}

var queueTime = regexp.MustCompile(`\bqueue;(?:[^,]*;)?\s*dur=([0-9.]+)`)

// queued is how long the run waited for a place, by the server's word.
func (a *Answer) queued() time.Duration {
	match := queueTime.FindStringSubmatch(strings.Join(a.Header.Values("Server-Timing"), ", "))
	if match == nil {
		return 0
	}
	ms, _ := strconv.ParseFloat(match[1], 64)
	return min(time.Duration(ms*float64(time.Millisecond)), a.Elapsed)
}

// files are the contents of what the run left in its output folder, decoded,
// with their names.
func (a *Answer) files() (string, error) {
	var b strings.Builder
	files, _ := a.object()["files"].([]any)
	for _, f := range files {
		file, _ := f.(map[string]any)
		path, _ := file["path"].(string)
		text, isText := file["content"].(string)
		coded, isCoded := file["content_base64"].(string)
		content, err := base64.StdEncoding.DecodeString(coded)
		if path == "" || strings.HasPrefix(path, "/") || slices.Contains(strings.Split(path, "/"), "..") || !isText && !isCoded || err != nil {
			return "", fmt.Errorf("the collected file %s is malformed", strictjson.Short(f))
		}
		b.WriteString(path + "\n" + text + string(content) + "\n")
	}
	return b.String(), nil
}

// errorFields are the fields that an error of each type may have beside type,
// message and hint; those with a star must be there.
var errorFields = map[string]string{
	"invalid_request":  "field",
	"syntax_error":     "line column source_line",
	"missing_main":     "line",
	"missing_return":   "line",
	"policy_violation": "line* column operation*",
	"exception":        "exception* line traceback",
	"exited":           "exit_status*",
	"invalid_result":   "path",
	"timeout":          "limit_ms*",
	"memory_limit":     "limit_mb*",
	"killed":           "signal*",
	"output_limit":     "limit_bytes*",
	"disk_limit":       "limit_bytes*",
}

// wellFormed says in which points the body is not what the contract documents.
func (a *Answer) wellFormed() []string {
	if a.bad != nil {
		return []string{fmt.Sprintf("the body is not JSON: %v", a.bad)}
	}
	if kind := a.Header.Get("Content-Type"); !strings.HasPrefix(kind, "application/json") {
		return []string{fmt.Sprintf("Content-Type is %q", kind)}
	}
	wanted := []string{"result", "stdout"}
	if a.Status != http.StatusOK {
		wanted = []string{"error", "stdout"}
	}
	if a.Details {
		wanted = append(wanted, "files", "id", "isolation", "stderr", "usage")
		if _, ok := a.object()["truncated"]; ok { // there if any
			wanted = append(wanted, "truncated")
		}
		slices.Sort(wanted)
	}
	if keys := slices.Sorted(maps.Keys(a.object())); !slices.Equal(keys, wanted) {
		return []string{fmt.Sprintf("the body has the keys %q, not %q", keys, wanted)}
	}
	if _, ok := a.object()["stdout"].(string); !ok {
		return []string{"stdout is not a string"}
	}
	if a.Status == http.StatusOK {
		return nil
	}
	return a.wellFormedError()
}

func (a *Answer) wellFormedError() []string {
	var found []string
	fields, known := errorFields[a.Type()]
	if !known {
		return []string{fmt.Sprintf("error type %q is none that a run can end in", a.Type())}
	}
	if a.Message() == "" {
		found = append(found, "the error has no message")
	}
	if n := len(a.Message()); n > 1<<10+100 {
		found = append(found, fmt.Sprintf("the message has %d bytes", n))
	}
	if text, _ := a.failure()["traceback"].(string); len(text) > 8<<10+200 {
		found = append(found, fmt.Sprintf("the traceback has %d bytes", len(text)))
	}
	allowed := []string{"type", "message", "hint"}
	for _, field := range strings.Fields(fields) {
		name, required := strings.CutSuffix(field, "*")
		allowed = append(allowed, name)
		if _, ok := a.failure()[name]; required && !ok {
			found = append(found, fmt.Sprintf("error %s has no %s", a.Type(), name))
		}
	}
	for name := range a.failure() {
		if !slices.Contains(allowed, name) {
			found = append(found, fmt.Sprintf("error %s has an undocumented field %s", a.Type(), name))
		}
	}
	return found
}

// number is a numeric field of the error, and whether it is there.
func (a *Answer) number(field string) (int64, bool) {
	n, ok := a.failure()[field].(json.Number)
	if !ok {
		return 0, false
	}
	v, err := n.Int64()
	return v, err == nil
}
