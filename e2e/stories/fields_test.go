package stories

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// TestFirstSteps are the answers of the brief, byte by byte.
func TestFirstSteps(t *testing.T) {
	t.Parallel()
	url := shared(t)
	for script, want := range map[string]string{
		"def main():\n    return {\"message\": \"Hello World\"}":                              `{"result":{"message":"Hello World"},"stdout":""}`,
		"def main():\n    print('hi')\n    return 1":                                          `{"result":1,"stdout":"hi\n"}`,
		"import os\ndef main():\n    return os.path.join('a', 'b')":                           `{"result":"a/b","stdout":""}`,
		"import numpy as np\ndef main():\n    return np.arange(6).reshape(2, 3).sum()":        `{"result":15,"stdout":""}`,
		"import pandas as pd\ndef main():\n    return pd.DataFrame({'a': [1, 2]}).a.sum()":    `{"result":3,"stdout":""}`,
		"import requests\ndef main():\n    return requests.Request('GET', 'http://x').method": `{"result":"GET","stdout":""}`,
		"\ufeff# coding: latin-1\ndef main():\n    return 'ä'":                                `{"result":"ä","stdout":""}`,
		"async def main():\n    return 1":                                                     `{"result":1,"stdout":""}`,
		"main = lambda: [None, True, 1.5, (1,)]":                                              `{"result":[null,true,1.5,[1]],"stdout":""}`,
		"class M:\n    def __call__(self): return __name__\nmain = M()":                       `{"result":"script","stdout":""}`,
		"def main():\n    return 1\nif __name__ == '__main__':\n    print(main())":            `{"result":1,"stdout":""}`,
		"def main():\n    print('{\"result\": 2}')\n    return 3":                             `{"result":3,"stdout":"{\"result\": 2}\n"}`,
	} {
		if a := execute(t, url, request{"script": script}); a.status != 200 || a.text != want {
			t.Errorf("%q: %d %s, want %s", script, a.status, a.text, want)
		}
	}
}

// TestInput: what goes in as JSON comes out the same, and nothing is lost.
func TestInput(t *testing.T) {
	t.Parallel()
	url := shared(t)
	big := strings.Repeat("9", 5000)
	for _, value := range []string{
		"null", "true", "0", "-1", "1.5", "1e-7", `""`, `"\u0000\n ü 😀 \u2028"`, "[]", "{}",
		"12345678901234567890123456789", "-" + big, `{"a":[1,{"b":null}],"":[[]],"1":2}`,
		strings.Repeat("[", 150) + strings.Repeat("]", 150),
	} {
		a := execute(t, url, request{"script": "def main(x):\n    return x", "input": json.RawMessage(value)})
		a.want(t, value)
	}
	a := execute(t, url, request{"script": "def main(n):\n    return [type(n).__name__, n + 1]", "input": json.RawMessage(big)})
	a.want(t, `["int",1`+strings.Repeat("0", 5000)+`]`)
	for _, c := range []struct {
		script string
		input  any
		want   string
	}{
		{"def main(x=5):\n    return x", 7, "7"},
		{"def main(*all):\n    return all", 7, "[7]"},
		{"async def main(x, y=1):\n    return [x, y]", nil, "[null,1]"},
		{"def main(rows):\n    return sum(r['n'] for r in rows)", []map[string]int{{"n": 1}, {"n": 2}}, "3"},
	} {
		execute(t, url, request{"script": c.script, "input": c.input}).want(t, c.want)
	}
	execute(t, url, request{"script": "def main(x=5):\n    return x"}).want(t, "5")
}

func TestStdin(t *testing.T) {
	t.Parallel()
	url := shared(t)
	read := "import sys\ndef main():\n    return sys.stdin.read()"
	execute(t, url, request{"script": read}).want(t, `""`)
	execute(t, url, request{"script": read, "stdin": "a\r\nb ü\n"}).want(t, `"a\r\nb ü\n"`)
	execute(t, url, request{"script": "def main():\n    return [input(), input()]", "stdin": "1\n2\n3"}).want(t, `["1","2"]`)
	execute(t, url, request{"script": "def main():\n    return 1", "stdin": strings.Repeat("x", 1<<20)}).want(t, "1")
	execute(t, url, request{"script": "import sys\ndef main():\n    return sum(map(len, sys.stdin))", "stdin": strings.Repeat("line\n", 200_000)}).want(t, "1000000")
	execute(t, url, request{"script": "def main():\n    return input()"}).fails(t, 400, "exception")
}

func TestFiles(t *testing.T) {
	t.Parallel()
	url := shared(t)
	all := []map[string]string{
		{"path": "data.csv", "content": "a,b\n1,2\nü,3\n"},
		{"path": "deep/er/raw.bin", "content_base64": base64.StdEncoding.EncodeToString([]byte{0, 255, 10, 13})},
		{"path": "helper.py", "content": "VALUE = 41\ndef up(n): return n + 1\n"},
		{"path": "lib/__init__.py", "content": ""},
		{"path": "lib/tools.py", "content": "def name(): return __name__\n"},
		{"path": "empty", "content": ""},
	}
	execute(t, url, request{"files": all, "script": "import os, helper\nfrom lib import tools\n" + inMain(
		"return [open('data.csv', encoding='utf-8').read(), list(open('deep/er/raw.bin', 'rb').read()),",
		"        helper.up(helper.VALUE), tools.name(), os.path.getsize('empty'), os.getcwd(), sorted(os.listdir())]")}).
		want(t, `["a,b\n1,2\nü,3\n",[0,255,10,13],42,"lib.tools",0,"/sandbox",["data.csv","deep","empty","helper.py","lib"]]`)
	execute(t, url, request{"files": all[:1], "script": "import pandas as pd\n" + inMain("return pd.read_csv('data.csv').shape")}).want(t, "[2,2]")
	execute(t, url, request{"files": all[:1], "script": inMain("open('data.csv', 'a').write('x')", "return len(open('data.csv').read())")}).want(t, "13")
	execute(t, url, request{"script": inMain("import os", "return [os.listdir(), os.listdir('/tmp')]")}).want(t, "[[],[]]")

	for field, file := range map[string]map[string]string{
		"files[0].path":           {"path": "../x", "content": ""},
		"files[0]":                {"path": "x"},
		"files[0].content_base64": {"path": "x", "content_base64": "?"},
		"files[0].mode":           {"path": "x", "content": "", "mode": "7"},
	} {
		a := execute(t, url, request{"script": inMain("return 1"), "files": []any{file}})
		a.fails(t, 400, "invalid_request")
		if a.err["field"] != field {
			t.Errorf("%v: field %v, want %s: %s", file, a.err["field"], field, a.message())
		}
	}
	// What only the sandbox can find.
	a := execute(t, url, request{"script": inMain("return 1"), "files": []map[string]string{{"path": "a", "content": ""}, {"path": "a/b", "content": ""}}})
	a.fails(t, 400, "invalid_request")
}

func TestEnv(t *testing.T) {
	t.Parallel()
	url := shared(t)
	source := inMain("import os", "return dict(os.environ)")
	plain, _ := execute(t, url, request{"script": source}).result(t).(map[string]any)
	for name, want := range map[string]string{"HOME": "/sandbox", "TMPDIR": "/tmp", "LANG": "C.UTF-8", "TZ": "UTC"} {
		if plain[name] != want {
			t.Errorf("%s is %v, want %s", name, plain[name], want)
		}
	}
	if len(plain) > 14 {
		t.Errorf("more than a small environment: %v", plain)
	}
	more, _ := execute(t, url, request{"script": source, "env": map[string]string{"KEY": "ü = 1", "HOME": "/x", "EMPTY": ""}}).result(t).(map[string]any)
	if more["KEY"] != "ü = 1" || more["HOME"] != "/x" || more["EMPTY"] != "" || len(more) != len(plain)+2 {
		t.Errorf("with env: %v", more)
	}
	again, _ := execute(t, url, request{"script": source}).result(t).(map[string]any)
	if fmt.Sprint(again) != fmt.Sprint(plain) {
		t.Errorf("a later run has %v, want %v", again, plain)
	}
	execute(t, url, request{"script": inMain("import time", "return time.tzname[0]"), "env": map[string]string{"TZ": "Asia/Tokyo"}}).want(t, `"JST"`)
}

// TestForm: what the request's form may not be, each naming its field.
func TestForm(t *testing.T) {
	t.Parallel()
	url := shared(t)
	for body, want := range map[string][2]string{ // field, word of the message
		`{`:                                    {"", "JSON"},
		`[]`:                                   {"", "object"},
		`{"script": 5}`:                        {"script", "string"},
		`{"script": ""}`:                       {"script", "empty"},
		`{"script": "\u0000"}`:                 {"script", "NUL"},
		`{}`:                                   {"script", "required"},
		`{"scrpt": "x"}`:                       {"scrpt", `"script"`},
		`{"script": "x", "code": 1}`:           {"code", `"script"`},
		`{"script": "x", "timeout": 1}`:        {"timeout", `"timeout_ms"`},
		`{"script": "x", "wholly_other": 1}`:   {"wholly_other", "memory_mb"},
		`{"script": "x", "script": "y"}`:       {"script", "twice"},
		`{"script": "x", "timeout_ms": 10001}`: {"timeout_ms", "10000"},
		`{"script": "x", "timeout_ms": 0}`:     {"timeout_ms", "1"},
		`{"script": "x", "timeout_ms": 1.5}`:   {"timeout_ms", "integer"},
		`{"script": "x", "timeout_ms": "9"}`:   {"timeout_ms", "integer"},
		`{"script": "x", "memory_mb": 513}`:    {"memory_mb", "512"},
		`{"script": "x", "memory_mb": 63}`:     {"memory_mb", "64"},
		`{"script": "x", "stdin": 1}`:          {"stdin", "string"},
		`{"script": "x", "details": "yes"}`:    {"details", "true"},
		`{"script": "x", "env": []}`:           {"env", "object"},
		`{"script": "x", "env": {"A": 1}}`:     {"env.A", "string"},
		`{"script": "x", "env": {"1": ""}}`:    {"env.1", "letters"},
		`{"script": "x", "files": {}}`:         {"files", "array"},
		"{\"script\": \"\xff\"}":               {"script", "UTF-8"},
	} {
		a, err := send(t.Context(), "POST", url+"/execute", []byte(body))
		if err != nil {
			t.Errorf("%s: %v", body, err)
			continue
		}
		a.fails(t, 400, "invalid_request")
		field, _ := a.err["field"].(string)
		if field != want[0] || !strings.Contains(a.message(), want[1]) {
			t.Errorf("%s: field %q, %q, want %q, …%s…", body, field, a.message(), want[0], want[1])
		}
		if stdout, ok := a.body["stdout"]; !ok || stdout != "" {
			t.Errorf("%s: stdout %v", body, stdout)
		}
	}
}
