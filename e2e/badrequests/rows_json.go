package badrequests

import (
	"encoding/binary"
	"strings"
	"testing"
	"time"
	"unicode/utf16"
)

// bad is a row whose body is refused as invalid_request.
func bad(name, body string) row {
	return row{name: name, raw: post(body), status: []int{400}, kind: "invalid_request"}
}

func saying(r row, text string) row {
	r.check = contains(text)
	return r
}

// jsonRows are section A: JSON and the script field.
func (s *suite) jsonRows() []row {
	ok := func(name, body string) row { return row{name: name, raw: post(body), status: []int{200}} }
	many := strings.Repeat(`"k":1,`, 200_000)
	within := func(r row, d time.Duration) row { r.within = d; return r }
	rows := []row{
		bad("01 empty body", ""),
		bad("02 cut short", "{"),
		bad("03 single quotes", `{'script': 'x'}`),
		bad("04 trailing comma", `{"script": "x",}`),
		bad("05 comment", `{"script": "x" /* c */}`),
		bad("06 raw newline in the string", "{\"script\": \"a\nb\"}"),
		bad("07 null", "null"),
		bad("08 array", "[]"), bad("08 string", `"x"`), bad("08 number", "1"), bad("08 true", "true"),
		saying(bad("09 no script", `{}`), "script is required"),
		bad("10 script null", `{"script": null}`),
		bad("11 script empty", `{"script": ""}`),
		bad("12 script of white space", `{"script": "   \n\t"}`),
		saying(bad("13 script a number", `{"script": 1}`), "a string, not a number"),
		saying(bad("13 script a list", `{"script": []}`), "a string, not an array"),
		saying(bad("13 script an object", `{"script": {}}`), "a string, not an object"),
		saying(bad("13 script a boolean", `{"script": true}`), "a string, not a boolean"),
		saying(bad("14 upper case", `{"SCRIPT": "x"}`), `did you mean \"script\"?`),
		bad("15 long s", `{"ſcript": "x"}`),
		saying(bad("16 duplicate key", `{"script": "A", "script": "B"}`), "twice"),
		bad("17 duplicate key by case", `{"script": "A", "Script": "B"}`),
		saying(bad("18 unknown member", `{"script": "A", "timeout": 1e9}`), "timeout_ms"),
		bad("19 two values", `{"script":"A"}{"script":"B"}`),
		bad("20 garbage after", `{"script":"A"} x`),
		bad("21 byte-order mark", "\xef\xbb\xbf"+`{"script":"A"}`),
		bad("22 UTF-16", utf16of(`{"script":"A"}`)),
		bad("22 UTF-32", strings.Join(strings.Split(`{"script":"A"}`, ""), "\x00\x00\x00")+"\x00\x00\x00"),
		bad("23 invalid UTF-8", "{\"script\":\"\xff\"}"),
		bad("24 lone surrogate", `{"script":"\ud800"}`),
		bad("25 NUL", `{"script":"a\u0000b"}`),
		{name: "26 byte-order mark in the script", raw: post(script("\ufeff"+ScriptEcho, "1")), status: []int{200}},
		bad("27 deep nesting", `{"x":`+strings.Repeat("[", 10_001)),
		within(bad("28 many unknown members", "{"+many[:len(many)-1]+"}"), time.Second),
		within(bad("28 many different unknown members", "{"+distinctMembers(100_000)+"}"), time.Second),
		within(bad("29 huge exponent", `{"x":1e999999999}`), time.Second),
		within(bad("29 huge exponent in a limit", `{"script":"x","timeout_ms":1e999999999}`), time.Second),
		ok("30 script of exactly the cap", script(padded(s.opts.Script), "1")),
		{name: "30 one byte more", raw: post(script(padded(s.opts.Script+1), "1")), status: []int{413}, kind: "too_large"},
		{name: "31 script of 10 MB", raw: post(script(padded(10_000_000), "1")), status: []int{413}, kind: "too_large"},
		ok("33 escapes", `{"script":"`+strings.Repeat("#", 9)+strings.Repeat(`\u0022`, 50_000)+`\ndef main(x): return x","input":1}`),
	}
	unchanged := ok("32 surrogate pairs", `{"script":"def main(x): return '\ud83d\ude00é😀' + x","input":"\ud83d\ude00"}`)
	unchanged.check = contains("\U0001f600é\U0001f600\U0001f600")
	unchanged.real = true
	syntax := row{name: "34 syntax error", raw: post(`{"script":"a = 1\nb = 2\ndef main(:\n"}`), status: []int{400}, kind: "syntax_error", real: true}
	syntax.check = func(t *testing.T, a answer) {
		contains(`"line":3`)(t, a)
		contains(`"column"`)(t, a)
	}
	blocked := row{name: "35 blocked", raw: post(`{"script":"import subprocess\ndef main(): return 1"}`), status: []int{400}, kind: "policy_violation", real: true, check: contains("subprocess")}
	return append(rows, unchanged, syntax, blocked)
}

// padded is the echo script as a source of n bytes.
func padded(n int) string { return ScriptEcho + "\n#" + strings.Repeat("x", n-len(ScriptEcho)-2) }

func utf16of(s string) string {
	b := []byte{0xff, 0xfe}
	for _, u := range utf16.Encode([]rune(s)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return string(b)
}

func distinctMembers(n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(`"`)
		for v := i; v >= 0; v = v/26 - 1 {
			b.WriteByte(byte('a' + v%26))
		}
		b.WriteString(`":1`)
	}
	return b.String()
}
