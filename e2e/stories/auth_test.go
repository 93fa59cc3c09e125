package stories

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/python-code-executor/pyexec/e2e/e2etest"
)

// pyexec runs a command of the binary and returns what it printed.
func pyexec(t *testing.T, env []string, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	e2etest.RequireServer(t)
	binary, err := e2etest.Binary()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), binary, args...)
	var out, words bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &words
	cmd.Env = append(append(os.Environ(), e2etest.Installed()...), env...)
	_ = cmd.Run() // its status tells
	return out.String(), words.String(), cmd.ProcessState.ExitCode()
}

// newKey has pyexec keys create make a key, and returns the header that
// carries it.
func newKey(t *testing.T, file, caller string) []string {
	t.Helper()
	out, words, status := pyexec(t, nil, "keys", "create", "--keys-file", file, "--caller", caller)
	if status != 0 {
		t.Fatalf("keys create: %d %s", status, words)
	}
	return []string{"Authorization", "Bearer " + strings.TrimSpace(out)}
}

// TestKeys: from the first key to a revoked one, with a server that is never
// restarted.
func TestKeys(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "keys.yaml")
	first := newKey(t, file, "team-a")
	server := start(t, "--require-auth", "--keys-file="+file)
	run := request{"script": inMain("return 1")}

	a := execute(t, server.BaseURL, run)
	a.fails(t, 401, "unauthenticated")
	if a.header.Get("WWW-Authenticate") != "Bearer" {
		t.Errorf("WWW-Authenticate: %q", a.header.Get("WWW-Authenticate"))
	}
	execute(t, server.BaseURL, run, first...).want(t, "1")
	execute(t, server.BaseURL, run, "Authorization", first[1]+"x").fails(t, 401, "unauthenticated")
	for _, path := range []string{"/health", "/livez", "/readyz"} {
		if a := get(t, server.BaseURL+path); a.status != 200 {
			t.Errorf("%s without a key: %d", path, a.status)
		}
	}

	// Rotation: the new key works, and then the old one does not.
	second := newKey(t, file, "team-a")
	execute(t, server.BaseURL, run, second...).want(t, "1")
	execute(t, server.BaseURL, run, first...).want(t, "1")
	id, _, _ := strings.Cut(strings.TrimPrefix(first[1], "Bearer pyx_"), "_")
	if _, words, status := pyexec(t, []string{"PYEXEC_KEYS_FILE=" + file}, "keys", "revoke", id); status != 0 {
		t.Fatalf("keys revoke: %s", words)
	}
	execute(t, server.BaseURL, run, first...).fails(t, 401, "unauthenticated")
	execute(t, server.BaseURL, run, second...).want(t, "1")

	list, _, _ := pyexec(t, nil, "keys", "list", "--keys-file", file)
	if strings.Contains(list, id) || !strings.Contains(list, "team-a") || strings.Contains(list, second[1][len("Bearer pyx_")+11:]) {
		t.Errorf("keys list:\n%s", list)
	}
	log := server.Log()
	if !strings.Contains(log, `"caller":"team-a"`) && !strings.Contains(log, "caller=team-a") {
		t.Error("the log does not name the caller")
	}
	if !strings.Contains(log, `"key":"`+id+`"`) && !strings.Contains(log, "key="+id) {
		t.Error("the log does not have the key's id")
	}
	for _, key := range []string{first[1], second[1]} {
		if strings.Contains(log, key[len("Bearer "):]) {
			t.Error("the log has a key")
		}
	}
}

// TestACallerHasLessThanTheServer: each limit of his, from the operator's file
// to what the script meets.
func TestACallerHasLessThanTheServer(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "keys.yaml")
	keys := map[string][]string{}
	for _, name := range []string{"plain", "careful", "picky"} {
		keys[name] = newKey(t, file, name)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	limited := strings.Replace(string(text), "- name: careful\n", "- name: careful\n    policy: strict\n    timeout: 300ms\n    memory: 100MB\n    rate: 2/h\n    burst: 20\n    concurrency: 1\n", 1)
	limited = strings.Replace(limited, "- name: picky\n", "- name: picky\n    isolation: full\n", 1)
	if err := os.WriteFile(file, []byte(limited), 0o600); err != nil {
		t.Fatal(err)
	}
	// One level below what picky asks for, wherever the tests run.
	server := launch(t, e2etest.Config{Args: []string{"--keys-file=" + file, "--unsafe-force-level=landlock"}})
	url := server.BaseURL

	strict := request{"script": inMain("import sys", "return len(sys.modules) > 0")}
	execute(t, url, strict, keys["plain"]...).want(t, "true")
	a := execute(t, url, strict, keys["careful"]...)
	a.fails(t, 400, "policy_violation")
	if got := a.header.Get("RateLimit-Policy"); got != `"rate";q=20;w=36000, "concurrency";q=1;qu="concurrent-requests"` {
		t.Errorf("RateLimit-Policy: %s", got)
	}
	if !strings.HasPrefix(a.header.Get("RateLimit"), `"rate";r=19;t=`) {
		t.Errorf("RateLimit: %s", a.header.Get("RateLimit"))
	}
	a = execute(t, url, request{"script": inMain("while True: pass", "return 1")}, keys["careful"]...)
	a.fails(t, 400, "timeout")
	if !strings.Contains(a.text, `"limit_ms":300`) {
		t.Errorf("its timeout: %s", a.text)
	}
	a = execute(t, url, request{"script": inMain("return 1"), "memory_mb": 101}, keys["careful"]...)
	a.fails(t, 400, "invalid_request")
	if !strings.Contains(a.message(), "limit of 100 megabytes") {
		t.Errorf("its memory: %s", a.text)
	}
	a = execute(t, url, request{"script": inMain("return 1"), "timeout_ms": 301}, keys["careful"]...)
	a.fails(t, 400, "invalid_request")
	a = execute(t, url, request{"script": inMain("return 1")}, keys["picky"]...)
	a.fails(t, 503, "unavailable")
	notBegun(t, a)
	execute(t, url, request{"script": inMain("return 1")}, keys["plain"]...).want(t, "1")

	// Over his rate: refused with the time to wait, and nobody else is.
	codes := []int{}
	for range 20 {
		a = execute(t, url, request{"script": inMain("return 1")}, keys["careful"]...)
		codes = append(codes, a.status)
	}
	if last := slices.Index(codes, 429); last != 16 {
		t.Errorf("of a burst of 20, 4 were taken before: %v", codes)
	}
	a.fails(t, 429, "rate_limited")
	if a.header.Get("Retry-After") == "" || a.header.Get("RateLimit") == "" {
		t.Errorf("headers %v", a.header)
	}
	execute(t, url, request{"script": inMain("return 1")}, keys["plain"]...).want(t, "1")
}

// TestRateByAddress: without keys, a client is its address behind as many
// proxies as the operator has.
func TestRateByAddress(t *testing.T) {
	t.Parallel()
	server := start(t, "--rate=2/h", "--caller-concurrency=1", "--trusted-proxies=1")
	run := request{"script": inMain("return 1")}
	from := func(address string) answer {
		// What stands first is the client's own invention, new each time.
		return execute(t, server.BaseURL, run, "X-Forwarded-For", time.Now().Format("150405.000000")+", "+address)
	}
	from("198.51.100.7").want(t, "1")
	from("198.51.100.7").want(t, "1")
	from("198.51.100.7").fails(t, 429, "rate_limited")
	from("198.51.100.8").want(t, "1")
	execute(t, server.BaseURL, request{"script": inMain("return 1"), "x": 1}).fails(t, 400, "invalid_request") // counts as well
	execute(t, server.BaseURL, run).want(t, "1")
	execute(t, server.BaseURL, run).fails(t, 429, "rate_limited")
}

// TestAuthThatCannotWorkStopsTheStart: with every fault named.
func TestAuthThatCannotWorkStopsTheStart(t *testing.T) {
	t.Parallel()
	empty := filepath.Join(t.TempDir(), "empty.yaml")
	faulty := filepath.Join(t.TempDir(), "faulty.yaml")
	for name, text := range map[string]string{
		empty:  "callers: []\n",
		faulty: "callers:\n  - name: a\n    timeout: 1h\n    policy: off\n    isolation: no-such\n    colour: red\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		args []string
		want []string
	}{
		{[]string{"--require-auth"}, []string{"require-auth: there is neither keys-file nor oidc-issuer"}},
		{[]string{"--keys-file=" + empty}, []string{"has no key"}},
		{[]string{"--keys-file=/nowhere/keys.yaml"}, []string{"/nowhere/keys.yaml"}},
		{[]string{"--keys-file=" + faulty}, []string{"line 3: timeout", "line 4: policy", "line 5: isolation", `line 6: a caller has no "colour"`}},
		{[]string{"--burst=3", "--oidc-issuer=https://id.example.com", "--rate=fast"}, []string{`rate (--rate): "fast"`}},
		{[]string{"--burst=3", "--oidc-issuer=https://id.example.com"}, []string{"burst: there is no rate", "oidc-audience: is needed"}},
		{[]string{"--oidc-issuer=http://id.example.com", "--oidc-audience=a"}, []string{"is not https"}},
	} {
		_, words, status := pyexec(t, nil, append([]string{"serve", "--addr=127.0.0.1:0"}, tt.args...)...)
		if status != 78 {
			t.Errorf("%v: exit status %d, want 78:\n%s", tt.args, status, words)
		}
		for _, want := range tt.want {
			if !strings.Contains(words, want) {
				t.Errorf("%v: it does not say %q:\n%s", tt.args, want, words)
			}
		}
	}
}
