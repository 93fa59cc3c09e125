package docs

import (
	"strings"
	"testing"
)

func TestBlocks(t *testing.T) {
	all, err := blocks("a\n```sh\nx\n```\n<!-- example: skip, too long -->\n\n```python\ndef main():\n    return 1\n```\n````json\n{\"script\": 1}\n```\n````\n<!-- example: status 3 -->\n```sh\ny\n```\n```\nfigure\n```\n")
	if err != nil || len(all) != 5 {
		t.Fatalf("%+v, %v", all, err)
	}
	if all[0].text != "x\n" || all[1].skip != "too long" || !all[1].isScript() || !all[2].isRequest() || all[3].status != 3 || all[4].isAnswer() || all[4].line != 19 {
		t.Errorf("%+v", all)
	}
	for page, says := range map[string]string{
		"```\ncurl x\n```\n":                        "line 1: an example without a language",
		"```\n$ FOO=1 make run \n```\n":             "an example without a language",
		"```sh\nx\n":                                "has no end",
		"<!-- example: skip -->\n```sh\n```\n":      "not understood",
		"<!-- example: skip, x -->\ntext\n":         "a comment about an example without one",
		"``` sh linenos\nx\n```\n```sh\nx\n```\n\n": "cannot be read",
	} {
		if _, err := blocks(page); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, want %q", page, err, says)
		}
	}
}

func TestDiffers(t *testing.T) {
	for _, c := range []struct {
		language, want, got string
		same                bool
	}{
		{"json", `{"a": 1}`, `{"a":1.0}`, true},
		{"json", `{"a": 1}`, `{"a":2}`, false},
		{"json", `{"a": 1}`, `{"a":1,"b":2}`, false},
		{"json", `{"a": 1, "...": "..."}`, `{"a":1,"b":2}`, true},
		{"json", `{"a": "..."}`, `{"a":[1]}`, true},
		{"json", `{"a": "x ... z"}`, `{"a":"x y z"}`, true},
		{"json", `{"a": "x ... z"}`, `{"a":"x y"}`, false},
		{"json", `[1, {"b": "..."}]`, `[1, {}]`, false},
		{"json", `[1]`, `[1, 2]`, false},
		{"json", `{}`, `no`, false},
		{"text", "a\nb\n", "a\nb", true},
		{"text", "a\n...\nd\n", "a\nb\nc\nd\n", true},
		{"text", "a\n...\nd\n", "a\nd\n", true},
		{"text", "a ... c\n", "a b c\n", true},
		{"text", "a ... c\n", "a b\nc\n", false},
		{"text", "a\n", "a\nb\n", false},
		{"text", "a.c\n", "abc\n", false},
	} {
		if how := differs(block{language: c.language, text: c.want}, c.got); (how == "") != c.same {
			t.Errorf("want %s, got %s: %q", c.want, c.got, how)
		}
	}
}
