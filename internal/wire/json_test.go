package wire_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/python-code-executor/pyexec/internal/wire"
)

const depth = 5

// FuzzCheckJSON holds the parser to a second one, made from encoding/json and
// what that leaves open: UTF-8, surrogates, duplicate keys, depth.
func FuzzCheckJSON(f *testing.F) {
	for _, seed := range []string{
		"1", "-0.1e+9", "01", "1.", "\"\\u00e9\"", `"\ud83d\ude00"`, `"\ud83d"`, `"\ude00\ud83d"`, `"\\ud83d"`, `"\ud83d\u0041"`,
		`{"a":1,"a":1}`, `{"a":1,"\u0061":1}`, `{"":1,"":2}`, `[{"a":1},{"a":1}]`, `{"a":{"a":1}}`, "[[[[[]]]]]", "[[[[[[]]]]]]",
		"\xef\xbb\xbf1", " \t\r\n1 ", "\x0b1", "[1,]", "{,}", "nul", "NaN", "\"\x00\"", "\"\x7f\"", "\"\xff\"", "1 2", "",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		kept := bytes.Clone(in)
		got, want := wire.CheckJSON(in, depth) == nil, second(in)
		if got != want {
			t.Errorf("CheckJSON(%q): %v, the second parser says %v", in, got, want)
		}
		if !bytes.Equal(in, kept) {
			t.Errorf("the payload was changed")
		}
	})
}

func second(in []byte) bool {
	return utf8.Valid(in) && json.Valid(in) && !loneSurrogate(string(in)) && unique(in)
}

var escapes = regexp.MustCompile(`(?i)\\(?:u([0-9a-f]{4})|.)`)

// loneSurrogate looks for half a pair; in valid JSON a backslash stands in
// strings only.
func loneSurrogate(text string) bool {
	high := -1 // where the escape of a first half ended
	for _, m := range escapes.FindAllStringSubmatchIndex(text, -1) {
		unit := ""
		if m[2] >= 0 {
			unit = strings.ToLower(text[m[2]:m[3]])
		}
		low := unit >= "dc00" && unit <= "dfff"
		if (high >= 0) != low || high >= 0 && high != m[0] {
			return true
		}
		high = -1
		if unit >= "d800" && unit <= "dbff" {
			high = m[1]
		}
	}
	return high >= 0
}

// unique says whether no object has a name twice and nothing is too deep.
func unique(in []byte) bool {
	d := json.NewDecoder(bytes.NewReader(in))
	d.UseNumber()
	type level struct {
		names  map[string]bool // nil in an array
		isName bool
	}
	var stack []level
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return true
		}
		if err != nil {
			return false
		}
		delim, isDelim := token.(json.Delim)
		if isDelim && (delim == '}' || delim == ']') {
			stack = stack[:len(stack)-1]
			continue
		}
		if n := len(stack); n > 0 && stack[n-1].names != nil {
			top := &stack[n-1]
			if top.isName = !top.isName; top.isName {
				name := token.(string)
				if top.names[name] {
					return false
				}
				top.names[name] = true
				continue
			}
		}
		if isDelim {
			next := level{}
			if delim == '{' {
				next.names = map[string]bool{}
			}
			if stack = append(stack, next); len(stack) > depth {
				return false
			}
		}
	}
}
