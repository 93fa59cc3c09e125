package corpus

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

func script(t *testing.T, expect, more, body string) *Script {
	t.Helper()
	s, err := Parse("x", []byte("# expect: "+expect+"\n# property: [well-formed] x\n# class: data\n"+more+"\n\n"+body+"\n"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func reply(status int, body string) *Answer {
	a := &Answer{Status: status, Body: []byte(body), Header: http.Header{"Content-Type": {"application/json"}}, Elapsed: 10 * time.Millisecond}
	a.read()
	return a
}

func result(json string) *Answer { return reply(200, `{"result": `+json+`, "stdout": ""}`) }

func detailed(files string) *Answer {
	a := reply(200, `{"result": 1, "stdout": "", "stderr": "", "id": "x", "usage": {}, "isolation": {}, "files": `+files+`}`)
	a.Details = true
	return a
}

func failure(fields string) *Answer {
	return reply(400, `{"error": {"message": "m", `+fields+`}, "stdout": ""}`)
}

var (
	killed    = `"type": "killed", "signal": "SIGKILL"`
	exception = `"type": "exception", "exception": "OSError"`
	violation = `"type": "policy_violation", "line": 1, "operation": "exec"`
)

func TestJudge(t *testing.T) {
	for _, c := range []struct {
		name, expect, more, body string
		policy                   string
		answer                   *Answer
		failure                  string // "" passes
	}{
		{name: "ok", expect: "ok", answer: result(`1`)},
		{name: "ok is exact", expect: "ok", more: "# result: 1", answer: result(`true`), failure: "result: "},
		{name: "result-if-ok", expect: "ok|error:killed", more: "# result-if-ok: 1", answer: failure(killed)},
		{name: "result-if-ok differs", expect: "ok|error:killed", more: "# result-if-ok: 1", answer: result(`2`), failure: "result: "},
		{name: "an error is not ok", expect: "ok", answer: failure(killed), failure: "none of ok"},
		{name: "ok is not the error", expect: "error:killed", answer: result(`1`), failure: "none of"},
		{name: "error", expect: "error:exception", answer: failure(exception)},
		{name: "other error", expect: "error:exception", answer: failure(killed), failure: "none of"},
		{name: "killed may be a limit", expect: "error:killed", answer: failure(`"type": "memory_limit", "limit_mb": 512`)},
		{name: "protocol", expect: "error:protocol", answer: failure(`"type": "exited", "exit_status": 0`)},
		{name: "contained", expect: "blocked-or-contained", answer: result(`{"contained": true}`)},
		{name: "not contained", expect: "blocked-or-contained", answer: result(`{"contained": false}`), failure: "not contained"},
		{name: "not contained although ok", expect: "ok|blocked-or-contained", answer: result(`{"contained": false}`), failure: "not contained"},
		{name: "ok beside contained", expect: "ok|blocked-or-contained", answer: result(`3`)},
		{name: "contained says nothing", expect: "blocked-or-contained", answer: result(`3`), failure: "none of"},
		{name: "contained by an error", expect: "blocked-or-contained", answer: failure(killed)},
		{name: "open at the level", expect: "blocked-or-contained", more: "# open-at: landlock", answer: result(`{"contained": false}`)},
		{name: "open at another level", expect: "blocked-or-contained", more: "# open-at: seccomp", answer: result(`{"contained": false}`), failure: "not contained"},
		{name: "blocked, policy off", expect: "error:blocked", answer: result(`{"contained": true}`)},
		{name: "blocked, policy off, escaped", expect: "error:blocked", answer: result(`{"contained": false}`), failure: "not contained"},
		{name: "blocked, policy off, no key", expect: "error:blocked", answer: result(`0`)},
		{name: "blocked, policy on", expect: "error:blocked", policy: "standard", answer: failure(violation), body: "exec('')"},
		{name: "blocked, policy on, ran", expect: "error:blocked", policy: "standard", answer: result(`{"contained": true}`), failure: "none of"},
		{name: "policy on, uses blocked", expect: "ok", policy: "standard", answer: failure(violation), body: "import ctypes"},
		{name: "policy on, uses nothing blocked", expect: "ok", policy: "standard", answer: failure(violation), body: "import os", failure: "none of"},
		{name: "stdout", expect: "ok", more: `# stdout-exact: "a"`, answer: result(`1`), failure: "stdout is"},
		{name: "stdout prefix", expect: "ok", more: `# stdout-prefix: ""`, answer: result(`1`)},
		{name: "500", expect: "blocked-or-contained", answer: reply(500, `{"error": {"type": "internal", "message": "m"}, "stdout": ""}`), failure: "status 500"},
		{name: "unknown type", expect: "blocked-or-contained", answer: failure(`"type": "internal"`), failure: "none that a run"},
		{name: "undocumented field", expect: "error:killed", answer: failure(killed + `, "pid": 3`), failure: "undocumented field pid"},
		{name: "missing field", expect: "error:killed", answer: failure(`"type": "killed"`), failure: "has no signal"},
		{name: "undocumented key", expect: "ok", answer: reply(200, `{"result": 1, "stdout": "", "stderr": ""}`), failure: "keys"},
		{name: "duplicate key", expect: "ok", answer: reply(200, `{"result": 1, "result": 1, "stdout": ""}`), failure: "not JSON"},
		{name: "NaN", expect: "ok", answer: result(`NaN`), failure: "not JSON"},
		{name: "invalid UTF-8", expect: "ok", answer: result("\"\xff\""), failure: "not JSON"},
		{name: "escaped", expect: "ok", answer: reply(200, `{"result": 1, "stdout": "EXEC-ESCAPED"}`), failure: "EXEC-ESCAPED"},
		{name: "hidden in a result", expect: "ok", answer: result(`[{"a": "\u0048IDDEN"}]`), failure: "HIDDEN"},
		{name: "a file of the host collected", expect: "ok", answer: detailed(`[{"path": "link", "content_base64": "cm9vdDp4OjA6MA=="}]`), failure: "a collected file contains"},
		{name: "a file of its own collected", expect: "ok", answer: detailed(`[{"path": "a", "content_base64": "cm9v"}]`)},
		{name: "a file with an absolute path", expect: "ok", answer: detailed(`[{"path": "/a", "content_base64": ""}]`), failure: "malformed"},
		{name: "secret", expect: "ok", answer: result(`"xSECRETx"`), failure: "canary"},
		{name: "tenant", expect: "ok", answer: result(`"CORPUS-TENANT-MARK-1-x"`), failure: "canary"},
		{name: "runner frame", expect: "error:exception", answer: failure(exception + `, "traceback": "File pyexec_runner/child.py"`), failure: "frame of the runner"},
		{name: "timeout too early", expect: "blocked-or-contained", answer: failure(`"type": "timeout", "limit_ms": 2000`), failure: "forged"},
	} {
		t.Run(c.name, func(t *testing.T) {
			mode := Mode{Policy: "off", Level: "landlock", Secrets: []string{"SECRET"}}
			if c.policy != "" {
				mode.Policy = c.policy
			}
			c.answer.Timeout = 2 * time.Second
			v := Judge(script(t, c.expect, c.more, c.body), c.answer, mode)
			found := strings.Join(v.Failures, "\n")
			if (found == "") != (c.failure == "") || !strings.Contains(found, c.failure) {
				t.Errorf("failures %q, want %q", found, c.failure)
			}
		})
	}
}

func TestJudgeDeadlineLeavesTheQueueOut(t *testing.T) {
	s := script(t, "error:timeout", "", "")
	a := failure(`"type": "timeout", "limit_ms": 1000`)
	a.Timeout, a.Elapsed = time.Second, 2500*time.Millisecond
	if v := Judge(s, a, Mode{}); len(v.Failures) == 0 {
		t.Error("an answer 1.5 s after its timeout passed")
	}
	a.Header.Set("Server-Timing", "queue;dur=700.5, spawn;dur=0.1, run;dur=1000")
	if v := Judge(s, a, Mode{}); len(v.Failures) != 0 {
		t.Errorf("the time in the queue was counted: %q", v.Failures)
	}
}

func TestJudgeTellsWhatProvesNothing(t *testing.T) {
	s := script(t, "blocked-or-contained", "", "")
	if v := Judge(s, failure(exception), Mode{Policy: "off"}); !v.Unproven {
		t.Error("a script that died of an exception proved something")
	}
	if v := Judge(s, result(`{"contained": true}`), Mode{Policy: "off"}); v.Unproven {
		t.Error("a contained script proved nothing")
	}
}
