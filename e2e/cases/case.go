// Package cases checks a running server against the shared request and answer
// cases: what a user who reads the contract expects to come back.
//
// The cases are not copied here: they are read from ../shared/cases beside the
// checkout, or from the folder that SHARED_DIR names. Their format is
// described in the README of that folder.
package cases

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Case is one line of a cases file.
type Case struct {
	ID            string       `json:"id"`
	Source        string       `json:"source"`
	Note          string       `json:"note"`
	Script        *string      `json:"script"`
	Request       *Request     `json:"request"`
	Expect        *Expectation `json:"expect"`
	Nice          *Expectation `json:"nice"`
	PolicyBlocked bool         `json:"policy_blocked"`
}

// Request is a request that is not a plain script: it is sent as it is.
type Request struct {
	Method     string            `json:"method"`
	Path       string            `json:"path"`
	Headers    map[string]string `json:"headers"`
	JSON       json.RawMessage   `json:"json"`
	Body       *string           `json:"body"`
	BodyB64    *string           `json:"body_b64"`
	BodyRepeat []json.RawMessage `json:"body_repeat"` // [head, piece, times, tail]
}

// Expectation is what must hold of an answer. Every key given must hold.
type Expectation struct {
	Status         json.RawMessage `json:"status"` // a number or a list; 200 when absent
	Result         json.RawMessage `json:"result"`
	Stdout         *string         `json:"stdout"`
	StdoutContains oneOrMany       `json:"stdout_contains"`
	ErrorContains  oneOrMany       `json:"error_contains"`
	JSON           json.RawMessage `json:"json"`
	MaxSeconds     float64         `json:"max_seconds"`
	Any            []*Expectation  `json:"any"`
	Nice           *Expectation    `json:"nice"`
	PolicyBlocked  bool            `json:"policy_blocked"`
}

// oneOrMany is a list of texts that may be written as a single text.
type oneOrMany []string

// UnmarshalJSON implements json.Unmarshaler.
func (o *oneOrMany) UnmarshalJSON(text []byte) error {
	var one string
	if json.Unmarshal(text, &one) == nil {
		*o = oneOrMany{one}
		return nil
	}
	var many []string
	if err := json.Unmarshal(text, &many); err != nil {
		return err
	}
	*o = many
	return nil
}

// File is the cases of one file, in their order.
type File struct {
	Name  string
	Cases []Case
}

// Dir is where the cases are: SHARED_DIR/cases, or shared/cases beside the
// checkout.
func Dir() (string, error) {
	if shared := os.Getenv("SHARED_DIR"); shared != "" {
		return filepath.Join(shared, "cases"), nil
	}
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return filepath.Join(filepath.Dir(dir), "shared", "cases"), nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("no go.mod above the working directory, and SHARED_DIR is not set")
		}
		dir = filepath.Dir(dir)
	}
}

// Load reads every *.jsonl file of a folder. A key that the format does not
// know is an error: an expectation that is not understood must not pass.
func Load(dir string) ([]File, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	if err != nil {
		return nil, err
	}
	var files []File
	seen := map[string]bool{}
	for _, name := range names {
		file, err := loadFile(name)
		if err != nil {
			return nil, err
		}
		for _, c := range file.Cases {
			if seen[c.ID] {
				return nil, fmt.Errorf("%s: id %s occurs twice", name, c.ID)
			}
			seen[c.ID] = true
		}
		files = append(files, file)
	}
	return files, nil
}

func loadFile(name string) (File, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return File{}, err
	}
	file := File{Name: strings.TrimSuffix(filepath.Base(name), ".jsonl")}
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, 16<<20)
	for n := 1; lines.Scan(); n++ {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		c, err := parseCase(lines.Bytes())
		if err != nil {
			return File{}, fmt.Errorf("%s:%d: %w", name, n, err)
		}
		file.Cases = append(file.Cases, c)
	}
	return file, lines.Err()
}

func parseCase(line []byte) (Case, error) {
	var c Case
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&c); err != nil {
		return c, err
	}
	switch {
	case c.ID == "":
		return c, fmt.Errorf("no id")
	case c.Expect == nil:
		return c, fmt.Errorf("%s: no expect", c.ID)
	case (c.Script == nil) == (c.Request == nil):
		return c, fmt.Errorf("%s: one of script and request", c.ID)
	}
	return c, nil
}

// body is the bytes to post.
func (c Case) body() ([]byte, error) {
	if c.Script != nil {
		return json.Marshal(map[string]string{"script": *c.Script})
	}
	r := c.Request
	switch {
	case r.Body != nil:
		return []byte(*r.Body), nil
	case r.BodyB64 != nil:
		return base64.StdEncoding.DecodeString(*r.BodyB64)
	case r.BodyRepeat != nil:
		return repeated(r.BodyRepeat)
	}
	return r.JSON, nil
}

func repeated(parts []json.RawMessage) ([]byte, error) {
	var head, piece, tail string
	var times int
	if len(parts) != 4 {
		return nil, fmt.Errorf("body_repeat has %d parts, not 4", len(parts))
	}
	for i, into := range []any{&head, &piece, &times, &tail} {
		if err := json.Unmarshal(parts[i], into); err != nil {
			return nil, fmt.Errorf("body_repeat: %w", err)
		}
	}
	return []byte(head + strings.Repeat(piece, times) + tail), nil
}
