package httpapi

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/python-code-executor/pyexec"
)

// Strict reading of JSON: jsontext refuses invalid UTF-8, lone surrogates and
// duplicate keys at every level, and compares keys by their exact bytes.
// Values stay text until a field of a known type asks for them, so that no
// number is ever computed that nobody wanted.

// invalid is the error for a request whose form is wrong at field.
func invalid(field, format string, args ...any) *pyexec.Error {
	return &pyexec.Error{Code: pyexec.CodeInvalidRequest, Field: clip(field), Message: fmt.Sprintf(format, args...)}
}

// clip bounds what of the client's own names is sent back.
func clip(name string) string {
	const most = 100
	if len(name) <= most {
		return name
	}
	return strings.ToValidUTF8(name[:most], "") + "..."
}

// kinds are the names of JSON's types in messages.
var kinds = map[jsontext.Kind]string{
	'n': "null", 't': "a boolean", 'f': "a boolean",
	'"': "a string", '0': "a number", '{': "an object", '[': "an array",
}

// document checks that body is one JSON value and nothing else, and returns
// it without the white space around it.
func document(body []byte) (jsontext.Value, error) {
	switch {
	case len(bytes.TrimSpace(body)) == 0:
		return nil, invalid("", `the body is empty: send a JSON object such as {"script": "def main():\n    return 1"}`)
	case bytes.HasPrefix(body, []byte("\xef\xbb\xbf")):
		return nil, invalid("", "the body starts with a byte-order mark: send UTF-8 without one")
	}
	dec := jsontext.NewDecoder(bytes.NewBuffer(body))
	v, err := dec.ReadValue()
	if err != nil {
		return nil, syntaxError(body, err)
	}
	end := dec.InputOffset()
	if rest := bytes.TrimLeft(body[end:], " \t\r\n"); len(rest) > 0 {
		return nil, invalid("", "the body goes on after its JSON value, at byte %d: send one object", int64(len(body)-len(rest)))
	}
	return v, nil
}

// syntaxError says what about body is not JSON, and where.
func syntaxError(body []byte, err error) error {
	var syntax *jsontext.SyntacticError
	if !errors.As(err, &syntax) {
		return invalid("", "the body is not valid JSON: it ends too early")
	}
	field := fieldOf(syntax.JSONPointer)
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName):
		return invalid(field, "the key %q appears twice in one object", clip(syntax.JSONPointer.LastToken()))
	case errors.Is(err, io.ErrUnexpectedEOF):
		return invalid(field, "the body is not valid JSON: it ends too early")
	}
	at := min(int(syntax.ByteOffset), len(body))
	line := 1 + bytes.Count(body[:at], []byte("\n"))
	column := at - bytes.LastIndexByte(body[:at], '\n')
	return invalid(field, "the body is not valid JSON: %s at line %d, byte %d", clip(syntax.Err.Error()), line, column)
}

// fieldOf writes a JSON pointer the way a client names a field: files[2].path.
func fieldOf(p jsontext.Pointer) string {
	var b strings.Builder
	for token := range p.Tokens() {
		switch {
		case token != "" && strings.Trim(token, "0123456789") == "":
			b.WriteString("[" + token + "]")
		case b.Len() == 0:
			b.WriteString(token)
		default:
			b.WriteString("." + token)
		}
		if b.Len() > 100 {
			break
		}
	}
	return b.String()
}

// eachMember calls f for every member of v, which document has checked.
func eachMember(v jsontext.Value, field string, f func(name string, v jsontext.Value) error) error {
	if v.Kind() != '{' {
		return wrongKind(field, "an object", v)
	}
	dec, err := enter(v)
	if err != nil {
		return err
	}
	for dec.PeekKind() != '}' {
		name, err := dec.ReadToken()
		if err != nil {
			return fmt.Errorf("bug: key in checked JSON: %w", err)
		}
		key := name.String()
		member, err := dec.ReadValue()
		if err != nil {
			return fmt.Errorf("bug: value in checked JSON: %w", err)
		}
		if err := f(key, member); err != nil {
			return err
		}
	}
	return nil
}

// eachElement calls f for every element of v, which document has checked.
func eachElement(v jsontext.Value, field string, f func(i int, v jsontext.Value) error) error {
	if v.Kind() != '[' {
		return wrongKind(field, "an array", v)
	}
	dec, err := enter(v)
	if err != nil {
		return err
	}
	for i := 0; dec.PeekKind() != ']'; i++ {
		element, err := dec.ReadValue()
		if err != nil {
			return fmt.Errorf("bug: element in checked JSON: %w", err)
		}
		if err := f(i, element); err != nil {
			return err
		}
	}
	return nil
}

// enter reads the opening bracket of v. Its checks are those of document
// already, so they are off here.
func enter(v jsontext.Value) (*jsontext.Decoder, error) {
	dec := jsontext.NewDecoder(bytes.NewBuffer(v), jsontext.AllowDuplicateNames(true))
	if _, err := dec.ReadToken(); err != nil {
		return nil, fmt.Errorf("bug: opening bracket of checked JSON: %w", err)
	}
	return dec, nil
}

func wrongKind(field, want string, got jsontext.Value) error {
	name := field
	if name == "" {
		name = "the body"
	}
	return invalid(field, "%s must be %s, not %s", clip(name), want, kinds[got.Kind()])
}

func stringOf(v jsontext.Value, field string) (string, error) {
	if v.Kind() != '"' {
		return "", wrongKind(field, "a string", v)
	}
	b, err := jsontext.AppendUnquote(nil, v)
	if err != nil {
		return "", fmt.Errorf("bug: string in checked JSON: %w", err)
	}
	return string(b), nil
}

func boolOf(v jsontext.Value, field string) (bool, error) {
	if k := v.Kind(); k != 't' && k != 'f' {
		return false, wrongKind(field, "true or false", v)
	}
	return v.Kind() == 't', nil
}

// integerOf reads a positive integer of at most limit, written in digits.
func integerOf(v jsontext.Value, field, unit string, least, limit int64) (int64, error) {
	if v.Kind() != '0' {
		return 0, wrongKind(field, "an integer number of "+unit, v)
	}
	digits := string(v)
	if strings.Trim(strings.TrimPrefix(digits, "-"), "0123456789") != "" {
		return 0, invalid(field, "%s must be an integer number of %s, written without fraction or exponent", field, unit)
	}
	n := int64(0)
	for i := 0; i < len(digits) && digits[0] != '-' && n <= limit; i++ {
		n = n*10 + int64(digits[i]-'0')
	}
	switch {
	case n > limit:
		return 0, invalid(field, "%s may only lower the server's limit of %d %s", field, limit, unit)
	case n < least:
		return 0, invalid(field, "%s must be at least %d %s", field, least, unit)
	}
	return n, nil
}

// base64Of reads standard base64 with its padding and nothing else.
func base64Of(v jsontext.Value, field string) ([]byte, error) {
	s, err := stringOf(v, field)
	if err != nil {
		return nil, err
	}
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil || strings.ContainsAny(s, "\r\n") { // the decoder skips line ends
		return nil, invalid(field, "%s is not standard base64 with padding and without line breaks", field)
	}
	return b, nil
}

// deeperThan tells whether v nests arrays and objects deeper than levels.
func deeperThan(v jsontext.Value, levels int) bool {
	depth, quoted := 0, false
	for i := 0; i < len(v); i++ {
		switch c := v[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '[' || c == '{':
			if depth++; depth > levels {
				return true
			}
		case c == ']' || c == '}':
			depth--
		}
	}
	return false
}
