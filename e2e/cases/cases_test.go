package cases

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func answer(status int, body string) Answer { return NewAnswer(status, []byte(body), time.Second) }

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		name, expect string
		answer       Answer
		holds        bool
	}{
		{"exact", `{"result": {"a": 1}, "stdout": ""}`, answer(200, `{"result": {"a": 1}, "stdout": ""}`), true},
		{"status is 200 when absent", `{"result": 1}`, answer(201, `{"result": 1}`), false},
		{"float close", `{"result": 0.1}`, answer(200, `{"result": 0.10000000000000002}`), true},
		{"float apart", `{"result": 0.1}`, answer(200, `{"result": 0.100001}`), false},
		{"bool is not int", `{"result": 1}`, answer(200, `{"result": true}`), false},
		{"null is not absent", `{"result": null}`, answer(200, `{"stdout": ""}`), false},
		{"null", `{"result": null}`, answer(200, `{"result": null}`), true},
		{"stdout", `{"stdout": "a\n"}`, answer(200, `{"stdout": "a"}`), false},
		{"stdout_contains", `{"stdout_contains": ["ell"]}`, answer(200, `{"stdout": "hello"}`), true},
		{"stdout_contains not", `{"stdout_contains": "elk"}`, answer(200, `{"stdout": "hello"}`), false},
		{"error_contains any case", `{"status": 400, "error_contains": ["ZERO"]}`, answer(400, `{"error": "zero"}`), true},
		{"error_contains escaped", `{"status": 400, "error_contains": ["größe"]}`, answer(400, `{"error": "gr\u00f6\u00dfe"}`), true},
		{"error_contains not", `{"status": 400, "error_contains": ["one"]}`, answer(400, `{"error": "zero"}`), false},
		{"status list", `{"status": [400, 422]}`, answer(422, `{}`), true},
		{"status list not", `{"status": [400, 422]}`, answer(200, `{}`), false},
		{"json subset", `{"json": {"a": {"b": 1, "m~": "Fox"}}}`, answer(200, `{"a": {"b": 1, "m": "the fox", "c": 2}}`), true},
		{"json subset not", `{"json": {"a": {"b": 1}}}`, answer(200, `{"a": {"b": 2}}`), false},
		{"json contains not", `{"json": {"m~": "fox"}}`, answer(200, `{"m": "dog"}`), false},
		{"max_seconds", `{"max_seconds": 0.5}`, answer(200, `{}`), false},
		{"any", `{"any": [{"status": 400}, {"result": 1}]}`, answer(200, `{"result": 1}`), true},
		{"any none", `{"any": [{"status": 400}, {"result": 1}]}`, answer(200, `{"result": 2}`), false},
		{"any and max_seconds", `{"any": [{"result": 1}], "max_seconds": 0.1}`, answer(200, `{"result": 1}`), false},
		{"policy_blocked", `{"result": 1, "policy_blocked": true}`, answer(400, `{"error": {"type": "policy_violation"}}`), true},
		{"policy_blocked but another error", `{"result": 1, "policy_blocked": true}`, answer(400, `{"error": {"type": "exception"}}`), false},
		{"duplicate keys", `{}`, answer(200, `{"a": 1, "a": 1}`), false},
		{"NaN", `{}`, answer(200, `{"a": NaN}`), false},
		{"invalid UTF-8", `{}`, answer(200, "{\"a\": \"\xff\"}"), false},
		{"a redirect needs no JSON", `{"status": 307}`, answer(307, `<a href="/execute">`), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			var e Expectation
			if err := json.Unmarshal([]byte(c.expect), &e); err != nil {
				t.Fatal(err)
			}
			found := Case{Expect: &e}.Check(c.answer)
			if (len(found) == 0) != c.holds {
				t.Errorf("found %q, want holds = %v", found, c.holds)
			}
		})
	}
}

func TestLoadRefusesWhatItDoesNotUnderstand(t *testing.T) {
	for _, line := range []string{
		`{"id": "a", "source": "s", "script": "x", "expect": {"resullt": 1}}`,
		`{"id": "a", "source": "s", "script": "x"}`,
		`{"source": "s", "script": "x", "expect": {}}`,
		`{"id": "a", "source": "s", "expect": {}}`,
		`{"id": "a", "source": "s", "script": "x", "request": {}, "expect": {}}`,
		`{"id": "a", "request": {"bodi": "x"}, "expect": {}}`,
		`not JSON`,
	} {
		dir := t.TempDir()
		write(t, dir, "x.jsonl", line)
		if _, err := Load(dir); err == nil {
			t.Errorf("Load accepted %s", line)
		}
	}
	dir := t.TempDir()
	write(t, dir, "x.jsonl", `{"id": "a", "script": "x", "expect": {}}`)
	write(t, dir, "y.jsonl", `{"id": "a", "script": "x", "expect": {}}`)
	if _, err := Load(dir); err == nil {
		t.Error("Load accepted an id twice")
	}
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}

// echo answers the script itself as the result, and its method and path where
// the body is not a request.
func echo(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	var req struct{ Script string }
	result := any(r.Method + " " + r.URL.Path + " " + r.Header.Get("Content-Type") + " " + string(body))
	if json.Unmarshal(body, &req) == nil && req.Script != "" {
		result = req.Script
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"result": result, "stdout": ""})
}

func TestRunSendsEveryCaseAsWritten(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(echo))
	t.Cleanup(server.Close)
	dir := t.TempDir()
	write(t, dir, "one.jsonl", strings.Join([]string{
		`{"id": "a/script", "script": "x = 'é'", "expect": {"result": "x = 'é'", "stdout": ""}}`,
		`{"id": "limits/one", "script": "y", "expect": {"result": "y"}, "nice": {"stdout": "z"}}`,
		`{"id": "r/body", "request": {"method": "PUT", "path": "/p", "headers": {"Content-Type": "text/x"}, "body": "b"}, "expect": {"result": "PUT /p text/x b"}}`,
		`{"id": "r/b64", "request": {"body_b64": "Yg=="}, "expect": {"result": "POST /execute application/json b"}}`,
		`{"id": "r/repeat", "request": {"body_repeat": ["[", "a", 3, "]"]}, "expect": {"result": "POST /execute application/json [aaa]"}}`,
		`{"id": "r/json", "request": {"json": {"script": "q"}}, "expect": {"result": "q"}}`,
	}, "\n"))
	runDir(t, server.URL, dir, 6, http.DefaultTransport)
}

func TestSharedCasesAreUnderstood(t *testing.T) {
	dir, err := Dir()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("NOT TESTED: %v", err)
	}
	files, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, file := range files {
		n += len(file.Cases)
		for _, c := range file.Cases {
			if _, err := c.body(); err != nil {
				t.Errorf("%s: %v", c.ID, err)
			}
			if e := c.Expect; e.Status != nil {
				if _, err := statuses(e.Status); err != nil {
					t.Errorf("%s: %v", c.ID, err)
				}
			}
		}
	}
	if n < floor {
		t.Errorf("%d cases, want at least %d", n, floor)
	}
}
