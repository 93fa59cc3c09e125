package stories

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/python-code-executor/pyexec/e2e/e2etest/strictjson"
)

// failure is one row of the error table that the script is the cause of.
type failure struct {
	name    string
	req     request
	kind    string
	words   []string // of the message
	fields  fields   // exactly; nil is any value
	allowed []string // fields that may be there beside type, message and fields
	stdout  string
	stderr  string
}

type fields map[string]any

// check runs the request and compares the whole error object.
func (f failure) check(t *testing.T, url string) {
	f.req["details"] = true
	a := execute(t, url, f.req)
	a.fails(t, http.StatusBadRequest, f.kind)
	for _, word := range f.words {
		if !strings.Contains(a.message(), word) {
			t.Errorf("message %q does not say %q", a.message(), word)
		}
	}
	if strings.Contains(a.message(), "\n") || len(a.message()) > 1024 {
		t.Errorf("message is not one line of 1 KB at most: %q", a.message())
	}
	for name, want := range f.fields {
		got, ok := a.err[name]
		if !ok {
			t.Errorf("no field %s in %v", name, a.err)
			continue
		}
		if n, isInt := want.(int); isInt {
			want = json.Number(itoa(n))
		}
		if want != nil && strictjson.Diff(want, got, 0) != "" {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	known := append([]string{"type", "message"}, f.allowed...)
	for _, name := range slices.Sorted(maps.Keys(a.err)) {
		if _, ok := f.fields[name]; !ok && !slices.Contains(known, name) {
			t.Errorf("field %s: %v, which this type does not have", name, a.err[name])
		}
	}
	if a.stdout() != f.stdout {
		t.Errorf("stdout %q, want %q", a.stdout(), f.stdout)
	}
	if stderr, _ := a.body["stderr"].(string); f.stderr != "" && stderr != f.stderr {
		t.Errorf("stderr %q, want %q", stderr, f.stderr)
	}
	for _, header := range []string{"Retry-After", "Allow"} {
		if a.header.Get(header) != "" {
			t.Errorf("%s: %s on a failure of the script", header, a.header.Get(header))
		}
	}
}

func itoa(n int) string { text, _ := json.Marshal(n); return string(text) }

func script(s string) request { return request{"script": s} }

// TestScriptFailures has the rows that are decided by what the script says or
// does; those about limits are TestLimits.
func TestScriptFailures(t *testing.T) {
	t.Parallel()
	url := shared(t)
	for _, f := range slices.Concat(sourceFailures(), policyFailures(), runFailures(), resultFailures()) {
		t.Run(f.kind+"/"+f.name, func(t *testing.T) { f.check(t, url) })
	}
}

func sourceFailures() []failure {
	ret := []string{"return"}
	return []failure{
		{
			name: "expression", req: script("def main():\n    return 1 +\n"), kind: "syntax_error",
			words: []string{"invalid syntax"}, fields: fields{"line": 2, "column": 15, "source_line": "    return 1 +"},
		},
		{
			name: "indentation", req: script("def main():\nreturn 1"), kind: "syntax_error",
			words: []string{"indented"}, fields: fields{"line": 2, "column": 1, "source_line": "return 1"},
		},
		{
			name: "not UTF-8 by cookie", req: script("# coding: latin-1\ndef main():\n    ä = = 1\n    return 1"), kind: "syntax_error",
			fields: fields{"line": 3, "column": 9, "source_line": "    ä = = 1"},
		},
		{
			name: "after a byte-order mark", req: script("\ufeffdef main(:\n    return 1"), kind: "syntax_error",
			fields: fields{"line": 1, "column": 10, "source_line": "def main(:"},
		},
		{
			name: "return outside", req: script("def main():\n    return 1\nreturn 2"), kind: "syntax_error",
			words: []string{"outside function"}, fields: fields{"line": 3, "column": 1, "source_line": "return 2"},
		},
		{name: "none", req: script("x = 1"), kind: "missing_main", words: []string{"def main():"}, allowed: []string{"hint", "line"}},
		{name: "in a class", req: script("class A:\n    def main(self):\n        return 1"), kind: "missing_main", allowed: []string{"hint", "line"}},
		{name: "nested", req: script("def f():\n    def main():\n        return 1"), kind: "missing_main", allowed: []string{"hint", "line"}},
		{name: "comment", req: script("# def main(): return 1\nx = 1"), kind: "missing_main", allowed: []string{"hint", "line"}},
		{name: "guarded", req: script("if __name__ == '__main__':\n    def main():\n        return 1"), kind: "missing_main", allowed: []string{"hint", "line"}},
		{name: "no callable", req: script("\nmain = 3"), kind: "missing_main", words: []string{"int"}, fields: fields{"line": 2}, allowed: []string{"hint"}},
		{name: "no return", req: script("x=1\ndef main():\n    print(1)"), kind: "missing_return", words: ret, fields: fields{"line": 2}, allowed: []string{"hint"}},
		{
			name: "nested return", req: script("def main():\n    def f():\n        return 1\n    f()"), kind: "missing_return",
			words: ret, fields: fields{"line": 1}, allowed: []string{"hint"},
		},
		{
			name: "generator", req: script("def main():\n    yield 1"), kind: "missing_return",
			words: []string{"generator", "list"}, fields: fields{"line": 1, "hint": nil},
		},
		{
			name: "async generator", req: script("async def main():\n    yield 1"), kind: "missing_return",
			words: []string{"generator"}, fields: fields{"line": 1, "hint": nil},
		},
		{
			name: "input without parameter", req: request{"script": "def main():\n    return 1", "input": 3}, kind: "invalid_request",
			words: []string{"input", "no parameter"}, fields: fields{"field": "input"}, allowed: []string{"line"},
		},
		{
			name: "null input without parameter", req: request{"script": "def main():\n    return 1", "input": nil}, kind: "invalid_request",
			fields: fields{"field": "input"}, allowed: []string{"line"},
		},
		{
			name: "parameter without input", req: script("print('top')\ndef main(rows):\n    return 1"), kind: "invalid_request",
			words: []string{`"rows"`, "input"}, fields: fields{"field": "input"}, allowed: []string{"line"}, stdout: "top\n",
		},
		{
			name: "two parameters", req: request{"script": "def main(a, b):\n    return 1", "input": 3}, kind: "invalid_request",
			words: []string{"a, b"}, fields: fields{"field": "input"}, allowed: []string{"line"},
		},
	}
}

func policyFailures() []failure {
	row := func(name, source, operation string, line, column int) failure {
		return failure{
			name: name, req: script(source), kind: "policy_violation", words: []string{operation, "blocked"},
			fields: fields{"line": line, "column": column, "operation": operation, "hint": nil},
		}
	}
	return []failure{
		row("called", inMain("return eval('1')"), "eval", 2, 12),
		row("passed on", inMain("return list(map(exec, ['1']))"), "exec", 2, 21),
		row("attribute of builtins", "import builtins as b\n"+inMain("return b.compile"), "compile", 3, 12),
		row("__import__", inMain("return __import__('os')"), "__import__", 2, 12),
		row("__builtins__", inMain("return __builtins__"), "__builtins__", 2, 12),
		row("import", inMain("import subprocess", "return 1"), "subprocess", 2, 12),
		row("import from", "from multiprocessing import Pool\n"+inMain("return 1"), "multiprocessing", 1, 1),
		row("ctypes", "x = 1\nimport json, ctypes\n"+inMain("return 1"), "ctypes", 2, 14),
		row("import_module", "import importlib\n"+inMain("return importlib.import_module('pty')"), "pty", 3, 12),
		row("alias of os", "import os as o\n"+inMain("return o.system('ls')"), "os.system", 3, 12),
		row("name from os", "from os import popen as p\n"+inMain("return p('ls')"), "os.popen", 1, 1),
		row("fork", "import os\n"+inMain("return os.fork()"), "os.fork", 3, 12),
		row("kill", "import os\n"+inMain("return os.kill(1, 9)"), "os.kill", 3, 12),
		row("before anything runs", "print('never')\n"+inMain("return eval('1')"), "eval", 3, 12),
	}
}

func runFailures() []failure {
	raised := []string{"line", "traceback"}
	return []failure{
		{
			name: "in a function", kind: "exception", stdout: "hi\n",
			req:   script("def f():\n    raise ValueError('no ünicode')\ndef main():\n    print('hi')\n    f()\n    return 1"),
			words: []string{"ValueError: no ünicode"},
			fields: fields{
				"exception": "ValueError", "line": 2,
				"traceback": "Traceback (most recent call last):\n  File \"script.py\", line 5, in main\n    f()\n" +
					"  File \"script.py\", line 2, in f\n    raise ValueError('no ünicode')\nValueError: no ünicode\n",
			},
		},
		{
			name: "at the top", req: script("import os\nprint('x', end='')\n1/0\n" + inMain("return 1")), kind: "exception",
			words: []string{"division by zero"}, fields: fields{"exception": "ZeroDivisionError", "line": 3, "traceback": nil}, stdout: "x",
		},
		{
			name: "only raise", req: script("def main(): raise ValueError"), kind: "exception",
			fields: fields{"exception": "ValueError", "line": 1, "traceback": nil},
		},
		{
			name: "in a library", req: script("import json\n" + inMain("return json.loads('{')")), kind: "exception",
			words: []string{"JSONDecodeError"}, fields: fields{"exception": nil, "line": 3, "traceback": nil},
		},
		{
			name: "own class", req: script("class Late(Exception): pass\nasync def main():\n    raise Late('at ' * 2000)\n    return 1"), kind: "exception",
			words: []string{"Late"}, fields: fields{"exception": "Late", "line": 3, "traceback": nil},
		},
		{
			name: "hostile str", req: script("class E(Exception):\n    def __str__(self): raise SystemExit(9)\n" + inMain("raise E", "return 1")), kind: "exception",
			fields: fields{"exception": "E", "line": 4, "traceback": nil},
		},
		{
			name: "recursion", req: script("def main(): return main()"), kind: "exception",
			fields: fields{"exception": "RecursionError", "line": 1, "traceback": nil},
		},
		{
			name: "no such module", req: script("import nothing_like_it\n" + inMain("return 1")), kind: "exception",
			words: []string{"nothing_like_it"}, fields: fields{"exception": "ModuleNotFoundError", "line": 1, "traceback": nil, "hint": nil},
		},
		{
			name: "keyboard interrupt", req: script(inMain("raise KeyboardInterrupt", "return 1")), kind: "exception",
			fields: fields{"exception": "KeyboardInterrupt"}, allowed: raised,
		},
		{
			name: "status", req: script("import sys\n" + inMain("print('a', end='')", "sys.exit(3)", "return 1")), kind: "exited", stdout: "a",
			words: []string{"3", "return"}, fields: fields{"exit_status": 3}, allowed: []string{"line"},
		},
		{
			name: "success", req: script("import sys\n" + inMain("sys.exit()", "return 1")), kind: "exited",
			fields: fields{"exit_status": 0}, allowed: []string{"line"},
		},
		{
			name: "words", req: script("import sys\n" + inMain("sys.exit('told')", "return 1")), kind: "exited",
			fields: fields{"exit_status": 1}, stderr: "told\n", allowed: []string{"line"},
		},
		{name: "builtin", req: script(inMain("exit(4)", "return 1")), kind: "exited", fields: fields{"exit_status": 4}, allowed: []string{"line"}},
		{name: "at the top", req: script("raise SystemExit(5)\n" + inMain("return 1")), kind: "exited", fields: fields{"exit_status": 5}, allowed: []string{"line"}},
		{
			name: "_exit", req: script("import os\n" + inMain("print('a', end='')", "os._exit(7)", "return 1")), kind: "exited", stdout: "a",
			fields: fields{"exit_status": 7}, allowed: []string{"line"},
		},
		{name: "_exit with success", req: script("import os\n" + inMain("os._exit(0)", "return 1")), kind: "exited", fields: fields{"exit_status": 0}},
		{name: "abort", req: script("import os\n" + inMain("print('b')", "os.abort()", "return 1")), kind: "killed", stdout: "b\n", words: []string{"SIGABRT"}, fields: fields{"signal": "SIGABRT"}},
		killedBy("SIGSEGV"), killedBy("SIGKILL"), killedBy("SIGTERM"), killedBy("SIGFPE"), killedBy("SIGALRM"),
	}
}

func killedBy(name string) failure {
	return failure{
		name: name, req: script("import signal\n" + inMain("print('b', end='')", "signal.raise_signal(signal."+name+")", "return 1")), kind: "killed",
		stdout: "b", words: []string{name}, fields: fields{"signal": name},
	}
}

func resultFailures() []failure {
	row := func(name, path, word string, lines ...string) failure {
		return failure{
			name: name, req: script(inMain(append([]string{"print('p')"}, lines...)...)), kind: "invalid_result", stdout: "p\n",
			words: []string{"not JSON serializable", word}, fields: fields{"path": path, "hint": nil},
		}
	}
	return []failure{
		row("datetime", "$.rows[3].when", "isoformat", "import datetime", "return {'rows': [1, 2, 3, {'when': datetime.datetime.now()}]}"),
		row("data frame", "$", "to_dict", "import pandas", "return pandas.DataFrame({'a': [1]})"),
		row("array", "$.a", "tolist", "import numpy", "return {'a': numpy.zeros(3)}"),
		row("NaN", "$.x", "NaN", "return {'x': float('nan')}"),
		row("infinity", "$[1]", "nfinity", "return [1, float('inf')]"),
		row("set", "$", "set", "return {1, 2}"),
		row("bytes", "$.b", "bytes", "return {'b': b'x'}"),
		row("tuple key", "$", "tuple", "return {(1, 2): 3}"),
		row("keys that become one", "$", `"1"`, "return {1: 2, '1': 3}"),
		row("cycle", "$[0]", "cycle", "a = []", "a.append(a)", "return a"),
		row("lone surrogate", "$", "surrogate", "return '\\ud800'"),
		{
			name: "depth", req: script(inMain("x = 0", "for _ in range(201): x = [x]", "return x")), kind: "invalid_result",
			words: []string{"200"}, fields: fields{"path": nil, "hint": nil},
		},
		{
			name: "coroutine", req: script("async def f(): return 1\n" + inMain("return f()")), kind: "invalid_result",
			words: []string{"await"}, fields: fields{"path": "$", "hint": nil},
		},
	}
}
