package strictjson

import (
	"strings"
	"testing"
)

func TestParseAcceptsWhatTheRFCAllows(t *testing.T) {
	for _, text := range []string{
		`{}`, ` [1, -0, 0.5, 1e9, 1E-3, 123456789012345678901234567890] `, `"é\u00e9\ud83d\ude00\ud800\/"`,
		`{"a": {"a": [true, false, null]}}`, `""`,
	} {
		if _, err := Parse([]byte(text)); err != nil {
			t.Errorf("Parse(%s): %v", text, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, text := range []string{
		``, `{`, `{"a": 1, "a": 2}`, `{"a": 1, "\u0061": 2}`, `NaN`, `[Infinity]`, `01`, `1.`, `.5`, `+1`, `1e`, `-`,
		`[1,]`, `{"a":1,}`, `{a: 1}`, `"a` + "\n" + `"`, `"\x"`, `"\u12"`, `{} {}`, "\"\xff\"", "\xef\xbb\xbf{}", `'a'`, `tru`,
		strings.Repeat("[", 3000) + strings.Repeat("]", 3000),
	} {
		if v, err := Parse([]byte(text)); err == nil {
			t.Errorf("Parse(%.40s) = %v, want an error", text, v)
		}
	}
}

func TestDiff(t *testing.T) {
	for _, c := range []struct {
		want, got string
		same      bool
	}{
		{`1`, `1`, true},
		{`1`, `true`, false},
		{`0`, `false`, false},
		{`1.0`, `1`, true},
		{`0.30000000000000004`, `0.3`, true},
		{`0.3`, `0.3001`, false},
		{`9007199254740993`, `9007199254740992`, false},
		{`{"a": [1, null]}`, `{"a": [1, null]}`, true},
		{`{"a": 1}`, `{"a": 1, "b": 2}`, false},
		{`[1]`, `[1, 2]`, false},
		{`"1"`, `1`, false},
		{`null`, `false`, false},
		{`{"a": null}`, `{}`, false},
	} {
		want, err := Parse([]byte(c.want))
		if err != nil {
			t.Fatal(err)
		}
		got, err := Parse([]byte(c.got))
		if err != nil {
			t.Fatal(err)
		}
		if d := Diff(want, got, 1e-9); (d == "") != c.same {
			t.Errorf("Diff(%s, %s) = %q, want same = %v", c.want, c.got, d, c.same)
		}
	}
}
