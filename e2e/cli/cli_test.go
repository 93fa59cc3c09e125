// Package cli tests the command line: the real binary, its sandbox and a real
// server.
package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/python-code-executor/pyexec/e2e/e2etest"
)

func TestMain(m *testing.M) { e2etest.Main(m) }

// outcome is what a command did.
type outcome struct {
	status   int
	out, err string
}

// command prepares pyexec with an environment of its own.
func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	e2etest.RequireServer(t)
	binary, err := e2etest.Binary()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), binary, args...)
	cmd.Env = append([]string{"HOME=/", "PATH=/usr/bin:/bin", "TMPDIR=" + os.TempDir()}, e2etest.Installed()...)
	for _, name := range []string{"PYEXEC_PYTHON", "PYEXEC_NSJAIL"} {
		if v, ok := os.LookupEnv(name); ok {
			cmd.Env = append(cmd.Env, name+"="+v)
		}
	}
	return cmd
}

func finish(t *testing.T, cmd *exec.Cmd) outcome {
	t.Helper()
	var out, errs bytes.Buffer
	if cmd.Stdout == nil {
		cmd.Stdout = &out
	}
	if cmd.Stderr == nil {
		cmd.Stderr = &errs
	}
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return outcome{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

func pyexec(t *testing.T, args ...string) outcome {
	t.Helper()
	return finish(t, command(t, args...))
}

func script(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "script.py")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

const busy = `
import os, sys
def main(data=None):
    print("printed", sys.stdin.read(), os.environ.get("WHO"))
    print("complained", file=sys.stderr)
    os.makedirs("output/deep")
    open("output/deep/x.txt", "w").write(open("table.csv").read())
    return {"data": data, "large": 123456789012345678901234567890}
`

// TestRun is the same here and on a server.
func TestRun(t *testing.T) {
	server := e2etest.Start(t)
	file := script(t, busy)
	dir := t.TempDir()
	given := filepath.Join(dir, "given.txt")
	if err := os.WriteFile(given, []byte("given"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, more := range map[string][]string{"here": nil, "on a server": {"--server", server.BaseURL}} {
		t.Run(name, func(t *testing.T) {
			results := filepath.Join(t.TempDir(), "results")
			args := append([]string{"run", "--input", `{"n": [1]}`, file, "--stdin", given, "--file", given + "=table.csv", "--env=WHO=me", "--output", results}, more...)
			got := pyexec(t, args...)
			want := "printed given me\n{\n  \"data\": {\n    \"n\": [\n      1\n    ]\n  },\n  \"large\": 123456789012345678901234567890\n}\n"
			if got.status != 0 || got.out != want || got.err != "complained\n" {
				t.Errorf("status %d, output %q, want %q; errors %q", got.status, got.out, want, got.err)
			}
			if text, err := os.ReadFile(filepath.Join(results, "deep", "x.txt")); err != nil || string(text) != "given" {
				t.Errorf("the file that was left has %q, %v", text, err)
			}
			got = pyexec(t, append(args, "--quiet", "--input=@"+script(t, "null"))...)
			if want := "{\n  \"data\": null,\n  \"large\": 123456789012345678901234567890\n}\n"; got.out != want || got.err != "" {
				t.Errorf("--quiet prints %q, want %q; errors %q", got.out, want, got.err)
			}
			got = pyexec(t, append(args, "--json")...)
			var answer struct {
				Result map[string]any
				Stdout string
				Stderr string
				Usage  map[string]int64
			}
			if err := json.Unmarshal([]byte(got.out), &answer); err != nil || answer.Stdout != "printed given me\n" || answer.Stderr != "complained\n" || answer.Usage["memory_bytes"] == 0 || got.err != "" {
				t.Errorf("--json prints %s, %v; errors %q", got.out, err, got.err)
			}
		})
	}
}

// TestOutputAsItIsPrinted: a line is there while the script still runs.
func TestOutputAsItIsPrinted(t *testing.T) {
	file := script(t, "import sys\ndef main():\n    print('first', flush=True)\n    while True: pass")
	cmd := command(t, "run", file, "--timeout=1m")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != "first\n" {
		t.Errorf("%q, %v", line, err)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Error(err)
	}
	_ = cmd.Wait()
	if cmd.ProcessState.ExitCode() != 130 {
		t.Errorf("exit status %d, want 130", cmd.ProcessState.ExitCode())
	}
}

// TestOutputThatNobodyReads ends the run, and the sandbox with it.
func TestOutputThatNobodyReads(t *testing.T) {
	dir := t.TempDir()
	cmd := command(t, "run", script(t, "def main():\n    while True: print('more')"), "--timeout=1m")
	cmd.Env = append(slices.DeleteFunc(cmd.Env, func(s string) bool { return strings.HasPrefix(s, "TMPDIR=") }), "TMPDIR="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 5)); err != nil {
		t.Error(err)
	}
	below := e2etest.Tree(cmd.Process.Pid)
	out.Close()
	_ = cmd.Wait()
	if cmd.ProcessState.ExitCode() != 141 {
		t.Errorf("exit status %d, want 141", cmd.ProcessState.ExitCode())
	}
	for _, p := range below {
		if p.Alive() {
			t.Errorf("process %v has outlived its command", p)
		}
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(left) > 0 || len(below) < 3 {
		t.Errorf("left in the temporary folder: %v, %v; %d processes were there", left, err, len(below))
	}
}

// TestOutputThatIsLost: a run whose result nobody got has not succeeded.
func TestOutputThatIsLost(t *testing.T) {
	server := e2etest.Start(t)
	file := script(t, "def main():\n    print('p')\n    return 1")
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skipf("NOT TESTED: %v", err)
	}
	defer full.Close()
	unread := func() *os.File {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		r.Close()
		t.Cleanup(func() { w.Close() })
		return w
	}
	run := []string{"run", file, "--server", server.BaseURL}
	for name, args := range map[string][]string{
		"streamed": run, "quiet": append(run[:4:4], "--quiet"), "json": append(run[:4:4], "--json"),
		"version": {"version"}, "help": {"help"},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := command(t, args...)
			cmd.Stdout = full
			if got := finish(t, cmd); got.status != 73 || got.err != "pyexec: write /dev/stdout: no space left on device\n" {
				t.Errorf("a full disk: %+v", got)
			}
			cmd = command(t, args...)
			cmd.Stdout = unread()
			if got := finish(t, cmd); got.err != "" || got.status != 141 && cmd.ProcessState.String() != "signal: broken pipe" {
				t.Errorf("nobody reads: %+v, %v", got, cmd.ProcessState)
			}
		})
	}
	t.Run("errors", func(t *testing.T) {
		cmd := command(t, "run", script(t, "import sys\ndef main():\n    print('p', file=sys.stderr)\n    return 1"), "--server", server.BaseURL)
		cmd.Stderr = full
		if got := finish(t, cmd); got.status != 73 || got.out != "" {
			t.Errorf("%+v", got)
		}
	})
}

// TestLargeFiles: the bound of a request is for networks.
func TestLargeFiles(t *testing.T) {
	server := e2etest.Start(t)
	large := script(t, strings.Repeat("x", 3<<20))
	args := []string{
		"run", script(t, "import os, sys\ndef main():\n    return os.path.getsize('large'), len(sys.stdin.read())"),
		"--file", large + "=large", "--stdin", large, "--quiet",
	}
	if got := pyexec(t, args...); got.status != 0 || got.out != "[\n  3145728,\n  3145728\n]\n" {
		t.Errorf("here: %+v", got)
	}
	if got := pyexec(t, append(args, "--server", server.BaseURL)...); got.status != 2 || !strings.Contains(got.err, "too_large: ") || !strings.Contains(got.err, "2 MiB") {
		t.Errorf("on a server: %+v", got)
	}
}

// TestKey: without one the status says so.
func TestKey(t *testing.T) {
	keys := filepath.Join(t.TempDir(), "keys.yaml")
	made := pyexec(t, "keys", "create", "--keys-file", keys, "--caller=me")
	if made.status != 0 {
		t.Fatalf("%+v", made)
	}
	server := e2etest.Start(t, "--keys-file", keys, "--require-auth")
	args := []string{"run", script(t, "def main():\n    return 1"), "--server", server.BaseURL}
	if got := pyexec(t, args...); got.status != 77 || !strings.Contains(got.err, "unauthenticated") {
		t.Errorf("without a key: %+v", got)
	}
	cmd := command(t, args...)
	cmd.Env = append(cmd.Env, "PYEXEC_API_KEY="+strings.TrimSpace(made.out))
	if got := finish(t, cmd); got.status != 0 || got.out != "1\n" {
		t.Errorf("with a key: %+v", got)
	}
	// Here the settings of a server with keys change nothing.
	cmd = command(t, args[:2]...)
	cmd.Env = append(cmd.Env, "PYEXEC_KEYS_FILE="+keys, "PYEXEC_REQUIRE_AUTH=true")
	if got := finish(t, cmd); got.status != 0 || got.out != "1\n" {
		t.Errorf("here: %+v", got)
	}
}

func TestExitStatus(t *testing.T) {
	server := e2etest.Start(t)
	for name, c := range map[string]struct {
		script string
		args   []string
		status int
		says   string
	}{
		"exception":     {"def main():\n    return 1 / 0", nil, 1, "File \"script.py\", line 2, in main\n"},
		"exited":        {"import sys\ndef main():\n    sys.exit(0)\n    return 1", nil, 1, "exited: "},
		"result":        {"def main():\n    return {1, 2}", nil, 1, "invalid_result: "},
		"syntax":        {"def main(:\n    return 1", nil, 2, "syntax_error: "},
		"no main":       {"x = 1", nil, 2, "missing_main: "},
		"policy":        {"import subprocess\ndef main():\n    return 1", nil, 2, "policy_violation: "},
		"input":         {"def main():\n    return 1", []string{"--input=1"}, 2, "invalid_request: "},
		"time":          {"def main():\n    while True: pass", []string{"--timeout=300ms"}, 3, "timeout: "},
		"memory":        {"def main():\n    return len(bytearray(b'x') * (200 << 20))", []string{"--memory=64MB"}, 3, "memory_limit: "},
		"no such file":  {"", []string{"--file=/no/such/file"}, 66, "/no/such/file"},
		"not JSON":      {"", []string{"--input={1"}, 64, "is not JSON"},
		"unknown flag":  {"", []string{"--imput=1"}, 64, "there is no flag --imput; is --input meant?"},
		"two scripts":   {"", []string{"more.py"}, 64, "unexpected argument \"more.py\""},
		"not UTF-8":     {"def main():\n    return '\xe9'", nil, 64, "script.py: byte 0xe9 in line 2 is not UTF-8; save it as UTF-8"},
		"stdin, bytes":  {"", []string{"--stdin", script(t, "a\xff")}, 64, "script.py: byte 0xff in line 1 is not UTF-8; sys.stdin is text"},
		"input, bytes":  {"", []string{"--input=\"\xff\""}, 64, "--input: byte 0xff in line 1 is not UTF-8"},
		"name, bytes":   {"", []string{"--file=/dev/null=\xff"}, 64, `--file: the name "\xff" is not UTF-8`},
		"env, bytes":    {"", []string{"--env=A=\xff"}, 64, `--env: "A=\xff" is not UTF-8`},
		"little memory": {"", []string{"--memory=500KB"}, 64, `--memory: "500KB" is less than 1MB`},
		"not a setting": {"", []string{"--policy=of"}, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := append([]string{"run", script(t, c.script), "--server", server.BaseURL}, c.args...)
			if name == "not a setting" { // the server's own; and here it is wrong
				if got := pyexec(t, args...); got.status != 64 || !strings.Contains(got.err, "has its own settings") {
					t.Errorf("%+v", got)
				}
				if got := pyexec(t, "run", args[1], "--policy=of"); got.status != 78 || !strings.Contains(got.err, `"of" is not one of standard, strict, off`) {
					t.Errorf("%+v", got)
				}
				return
			}
			got := pyexec(t, args...)
			if got.status != c.status || !strings.Contains(got.err, c.says) || got.out != "" {
				t.Errorf("status %d, output %q, errors %q; want %d, %q", got.status, got.out, got.err, c.status, c.says)
			}
		})
	}
	t.Run("no server", func(t *testing.T) {
		file := script(t, "def main():\n    return 1")
		if got := pyexec(t, "run", file, "--server=http://127.0.0.1:1"); got.status != 69 {
			t.Errorf("%+v", got)
		}
		if got := pyexec(t, "run", file, "--server=127.0.0.1:1"); got.status != 64 || !strings.Contains(got.err, "is not a URL") {
			t.Errorf("%+v", got)
		}
	})
	t.Run("a proxy without a server", func(t *testing.T) {
		calls := 0
		proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			calls++
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = w.Write([]byte("<h1>busy</h1>"))
		}))
		defer proxy.Close()
		for _, more := range []string{"--quiet", "--json"} {
			got := pyexec(t, "run", script(t, "def main():\n    return 1"), "--server", proxy.URL, more)
			if got.status != 69 || got.out != "" || got.err != "internal: the answer is not one of python-code-executor: HTTP 503 Service Unavailable\n" {
				t.Errorf("%+v", got)
			}
		}
		if calls != 2 {
			t.Errorf("%d calls for two commands", calls)
		}
	})
	t.Run("here", func(t *testing.T) {
		if got := pyexec(t, "run", script(t, "def main():\n    while True: pass"), "--timeout=200ms"); got.status != 3 || !strings.Contains(got.err, "200 ms") {
			t.Errorf("%+v", got)
		}
	})
}

// TestHelp: every command says what it takes, with examples that it takes.
func TestHelp(t *testing.T) {
	top := pyexec(t, "--help")
	if top.status != 0 || top.err != "" {
		t.Fatalf("%+v", top)
	}
	_, list, _ := strings.Cut(top.out, "Commands:\n")
	list, _, _ = strings.Cut(list, "\n\n")
	names := 0
	for line := range strings.Lines(list) {
		name := strings.Fields(line)[0]
		names++
		help := pyexec(t, name, "-h")
		if help.status != 0 || help.err != "" || !strings.Contains(help.out, "Usage:\n  pyexec "+name) || !strings.Contains(help.out, "Examples:\n  ") {
			t.Errorf("pyexec %s -h: %+v", name, help)
		}
		if again := pyexec(t, "help", name); again.out != help.out {
			t.Errorf("pyexec help %s is not pyexec %s -h", name, name)
		}
	}
	if names < 7 {
		t.Errorf("only %d commands:\n%s", names, top.out)
	}
	if got := pyexec(t, "srve"); got.status != 64 || !strings.Contains(got.err, "is serve meant?") || got.out != "" {
		t.Errorf("%+v", got)
	}
	if got := pyexec(t, "help", "srve"); got.status != 64 || !strings.Contains(got.err, "is serve meant?") || got.out != "" {
		t.Errorf("%+v", got)
	}
	if got := pyexec(t, "doctor", "more"); got.status != 64 || !strings.Contains(got.err, `unexpected argument "more"`) {
		t.Errorf("%+v", got)
	}
	if got := pyexec(t); got.status != 64 || got.out != "" {
		t.Errorf("%+v", got)
	}
}

func TestVersionAndDoctor(t *testing.T) {
	if got := pyexec(t, "version"); got.status != 0 || !strings.HasPrefix(got.out, "pyexec ") {
		t.Errorf("%+v", got)
	}
	table := pyexec(t, "doctor")
	if table.status != 0 || !strings.HasPrefix(table.out, "isolation level: ") {
		t.Errorf("%+v", table)
	}
	var found struct {
		Level  string
		Layers map[string]struct{ Active bool }
	}
	got := pyexec(t, "doctor", "--json")
	if err := json.Unmarshal([]byte(got.out), &found); err != nil || !strings.Contains(table.out, "isolation level: "+found.Level+"\n") || !found.Layers["seccomp"].Active {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestBench(t *testing.T) {
	server := e2etest.Start(t)
	got := pyexec(t, "bench", "--server", server.BaseURL, "--clients=1,2", "--duration=300ms", "--json")
	var report struct {
		Server  string
		Figures []struct {
			Clients   int
			PerSecond float64 `json:"runs_per_second"`
			Latency   struct {
				P50 float64 `json:"p50_ms"`
				P99 float64 `json:"p99_ms"`
				N   int
			}
		}
	}
	if err := json.Unmarshal([]byte(got.out), &report); err != nil || got.status != 0 || len(report.Figures) != 2 || report.Server != server.BaseURL {
		t.Fatalf("%+v, %v", got, err)
	}
	for i, f := range report.Figures {
		if f.Clients != i+1 || f.PerSecond <= 0 || f.Latency.N == 0 || f.Latency.P50 <= 0 || f.Latency.P99 < f.Latency.P50 {
			t.Errorf("%+v", f)
		}
	}
	if got := pyexec(t, "bench", "--server", server.BaseURL, "--clients=1", "--duration=300ms"); got.status != 0 || !strings.Contains(got.out, "p99 ms") {
		t.Errorf("%+v", got)
	}
	if got := pyexec(t, "bench", script(t, "def main():\n    return 1/0"), "--server", server.BaseURL); got.status != 1 || !strings.Contains(got.err, "ZeroDivisionError") {
		t.Errorf("%+v", got)
	}
	if got := pyexec(t, "bench", "--clients=0", "--duration=never"); got.status != 64 || !strings.Contains(got.err, "--clients") || !strings.Contains(got.err, "--duration") {
		t.Errorf("%+v", got)
	}
}
