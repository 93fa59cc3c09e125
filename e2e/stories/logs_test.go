package stories

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/python-code-executor/pyexec/e2e/e2etest"
)

// TestLogs: one line a run in the log and one in the audit log, with what
// happened and nothing of what the script is, reads or writes.
func TestLogs(t *testing.T) {
	t.Parallel()
	const secret = "sEcReT-of-the-user"
	var log bytes.Buffer
	path := filepath.Join(t.TempDir(), "audit.log")
	server := launch(t, e2etest.Config{Args: []string{"--audit-log=" + path, "--log-format=json", "--log-level=debug"}, Log: &log})
	script := inMain("import sys", "print('"+secret+"')", "print('"+secret+"', file=sys.stderr)", "return '"+secret+"'")
	execute(t, server.BaseURL, request{"script": script, "stdin": secret, "env": map[string]string{"A": secret}, "details": true}, "X-Request-Id", "run-1").want(t, `"`+secret+`"`)
	execute(t, server.BaseURL, request{"script": inMain("raise ValueError('" + secret + "')")}, "X-Request-Id", "run-2").fails(t, 400, "exception")
	execute(t, server.BaseURL, request{secret: 1}, "X-Request-Id", "run-3").fails(t, 400, "invalid_request")
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	audit, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"log": log.String(), "audit log": string(audit)} {
		if strings.Contains(text, secret) {
			t.Errorf("the %s has what the user wrote:\n%s", name, text)
		}
	}
	hash := sha256.Sum256([]byte(script))
	n := float64(len(secret))
	for _, want := range []struct {
		in, id string
		fields map[string]any
	}{
		{log.String(), "run-1", map[string]any{
			"level": "INFO", "outcome": "ok", "status": 200.0, "caller": "127.0.0.1", "script_bytes": float64(len(script)),
			"stdout_bytes": n + 1, "stderr_bytes": n + 1, "result_bytes": n + 2,
		}},
		{log.String(), "run-2", map[string]any{"level": "INFO", "outcome": "exception", "status": 400.0}},
		{log.String(), "run-3", map[string]any{"level": "INFO", "outcome": "invalid_request", "run_ms": 0.0}},
		{string(audit), "run-1", map[string]any{
			"outcome": "ok", "started": true, "caller": "127.0.0.1", "script_sha256": hex.EncodeToString(hash[:]), "isolation": level0(t, string(audit)),
		}},
		{string(audit), "run-2", map[string]any{"outcome": "exception", "started": true}},
	} {
		lines := withID(t, want.in, want.id)
		if len(lines) != 1 {
			t.Errorf("%s has %d lines", want.id, len(lines))
			continue
		}
		for key, value := range want.fields {
			if lines[0][key] != value {
				t.Errorf("%s: %s is %v, want %v", want.id, key, lines[0][key], value)
			}
		}
		for _, key := range []string{"queue_ms", "spawn_ms", "run_ms"} {
			if _, ok := lines[0][key].(float64); !ok {
				t.Errorf("%s: %s is %v", want.id, key, lines[0][key])
			}
		}
	}
	if lines := withID(t, string(audit), "run-3"); len(lines) != 0 {
		t.Errorf("no run was asked for, and the audit log has %v", lines)
	}
}

// withID finds the lines of JSON about one request.
func withID(t testing.TB, log, id string) []map[string]any {
	t.Helper()
	var found []map[string]any
	for line := range strings.Lines(log) {
		var one map[string]any
		if json.Unmarshal([]byte(line), &one) == nil && one["id"] == id {
			found = append(found, one)
		}
	}
	return found
}

// level0 is the level of the first line: some level is in each.
func level0(t testing.TB, audit string) any {
	t.Helper()
	var one map[string]any
	first, _, _ := strings.Cut(audit, "\n")
	if err := json.Unmarshal([]byte(first), &one); err != nil || one["isolation"] == "" {
		t.Errorf("%s: %v", first, err)
	}
	return one["isolation"]
}
