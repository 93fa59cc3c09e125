// Package strictjson reads JSON more strictly than encoding/json does: it is
// the second parser that the tests check every answer with. It refuses what
// RFC 8259 leaves to chance or forbids and encoding/json lets pass: duplicate
// keys, invalid UTF-8, anything after the value.
package strictjson

import (
	"encoding/json"
	"fmt"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth bounds nesting: far beyond what the service may answer.
const maxDepth = 2000

// Parse reads one JSON text. Objects become map[string]any, arrays []any,
// numbers json.Number, so that no digit is lost.
func Parse(text []byte) (any, error) {
	if !utf8.Valid(text) {
		return nil, fmt.Errorf("not valid UTF-8")
	}
	p := &parser{text: text}
	p.space()
	v, err := p.value(0)
	if err != nil {
		return nil, err
	}
	p.space()
	if p.at < len(p.text) {
		return nil, p.errorf("%q after the value", p.text[p.at])
	}
	return v, nil
}

type parser struct {
	text []byte
	at   int
}

func (p *parser) errorf(format string, args ...any) error {
	return fmt.Errorf("byte %d: %s", p.at, fmt.Sprintf(format, args...))
}

func (p *parser) peek() byte {
	if p.at < len(p.text) {
		return p.text[p.at]
	}
	return 0
}

func (p *parser) space() {
	for p.at < len(p.text) {
		switch p.text[p.at] {
		case ' ', '\t', '\n', '\r':
			p.at++
		default:
			return
		}
	}
}

func (p *parser) value(depth int) (any, error) {
	if depth > maxDepth {
		return nil, p.errorf("nested deeper than %d", maxDepth)
	}
	switch c := p.peek(); {
	case c == '{':
		return p.object(depth)
	case c == '[':
		return p.array(depth)
	case c == '"':
		return p.string()
	case c == '-' || '0' <= c && c <= '9':
		return p.number()
	}
	for word, v := range map[string]any{"true": true, "false": false, "null": nil} {
		if p.at+len(word) <= len(p.text) && string(p.text[p.at:p.at+len(word)]) == word {
			p.at += len(word)
			return v, nil
		}
	}
	return nil, p.errorf("no JSON value")
}

func (p *parser) object(depth int) (any, error) {
	p.at++
	m := map[string]any{}
	p.space()
	if p.peek() == '}' {
		p.at++
		return m, nil
	}
	for {
		p.space()
		if p.peek() != '"' {
			return nil, p.errorf("an object's key must be a string")
		}
		key, err := p.string()
		if err != nil {
			return nil, err
		}
		if _, twice := m[key]; twice {
			return nil, p.errorf("duplicate key %q", key)
		}
		p.space()
		if p.peek() != ':' {
			return nil, p.errorf("no colon after key %q", key)
		}
		p.at++
		p.space()
		if m[key], err = p.value(depth + 1); err != nil {
			return nil, err
		}
		p.space()
		switch p.peek() {
		case ',':
			p.at++
		case '}':
			p.at++
			return m, nil
		default:
			return nil, p.errorf("an object goes on with , or }")
		}
	}
}

func (p *parser) array(depth int) (any, error) {
	p.at++
	list := []any{}
	p.space()
	if p.peek() == ']' {
		p.at++
		return list, nil
	}
	for {
		p.space()
		v, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
		p.space()
		switch p.peek() {
		case ',':
			p.at++
		case ']':
			p.at++
			return list, nil
		default:
			return nil, p.errorf("an array goes on with , or ]")
		}
	}
}

func (p *parser) string() (string, error) {
	p.at++
	var out []byte
	for p.at < len(p.text) {
		switch c := p.text[p.at]; {
		case c == '"':
			p.at++
			return string(out), nil
		case c < 0x20:
			return "", p.errorf("unescaped control character %#x", c)
		case c == '\\':
			r, err := p.escape()
			if err != nil {
				return "", err
			}
			out = utf8.AppendRune(out, r)
		default:
			out = append(out, c)
			p.at++
		}
	}
	return "", p.errorf("unterminated string")
}

var simpleEscapes = map[byte]rune{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// escape reads what follows a backslash. A lone surrogate is grammatical JSON
// and becomes U+FFFD.
func (p *parser) escape() (rune, error) {
	p.at++
	c := p.peek()
	if r, ok := simpleEscapes[c]; ok {
		p.at++
		return r, nil
	}
	if c != 'u' {
		return 0, p.errorf("unknown escape \\%c", c)
	}
	r, err := p.hex4(p.at + 1)
	if err != nil {
		return 0, err
	}
	p.at += 5
	if !utf16.IsSurrogate(r) {
		return r, nil
	}
	if p.at+1 < len(p.text) && p.text[p.at] == '\\' && p.text[p.at+1] == 'u' {
		if low, err := p.hex4(p.at + 2); err == nil {
			if full := utf16.DecodeRune(r, low); full != utf8.RuneError {
				p.at += 6
				return full, nil
			}
		}
	}
	return utf8.RuneError, nil
}

func (p *parser) hex4(from int) (rune, error) {
	if from+4 > len(p.text) {
		return 0, p.errorf("short \\u escape")
	}
	n, err := strconv.ParseUint(string(p.text[from:from+4]), 16, 32)
	if err != nil {
		return 0, p.errorf("bad \\u escape")
	}
	return rune(n), nil
}

func (p *parser) number() (any, error) {
	from := p.at
	if p.peek() == '-' {
		p.at++
	}
	switch {
	case p.peek() == '0':
		p.at++
	case p.digits() == 0:
		return nil, p.errorf("a number without digits")
	}
	if p.peek() == '.' {
		p.at++
		if p.digits() == 0 {
			return nil, p.errorf("no digit after the point")
		}
	}
	if c := p.peek(); c == 'e' || c == 'E' {
		p.at++
		if c := p.peek(); c == '+' || c == '-' {
			p.at++
		}
		if p.digits() == 0 {
			return nil, p.errorf("no digit in the exponent")
		}
	}
	return json.Number(p.text[from:p.at]), nil
}

func (p *parser) digits() int {
	n := 0
	for c := p.peek(); '0' <= c && c <= '9'; c = p.peek() {
		p.at++
		n++
	}
	return n
}
