package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/python-code-executor/pyexec/e2e/e2etest"
)

// onTerminal runs a command with a terminal as its standard streams, and
// returns what appeared there.
func onTerminal(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("NOT TESTED: no terminal can be had: %v", err)
	}
	defer master.Close()
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	terminal, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = terminal, terminal, terminal
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	terminal.Close()
	shown := make(chan string)
	go func() {
		var b bytes.Buffer
		_, _ = io.Copy(&b, master) // ends with EIO when nobody has the terminal any more
		shown <- b.String()
	}()
	_ = cmd.Wait()
	return <-shown
}

// TestColours are for terminals, and for those who want them.
func TestColours(t *testing.T) {
	file := script(t, "def main():\n    print('\\x1b[2J\\x1b]0;title\\x07')\n    raise ValueError('\\x1b[2J')")
	server := e2etest.Start(t)
	args := []string{"run", file, "--server", server.BaseURL}
	shown := onTerminal(t, command(t, args...))
	if !strings.Contains(shown, "\x1b[31mexception:\x1b[0m") {
		t.Errorf("no colour on a terminal: %q", shown)
	}
	if strings.Contains(shown, "\x1b[2J") || strings.Contains(shown, "\x1b]0;") || !strings.Contains(shown, `\x1b[2J\x1b]0;title\x07`) {
		t.Errorf("a script reaches the terminal: %q", shown)
	}
	for _, env := range []string{"NO_COLOR=1", "TERM=dumb"} {
		cmd := command(t, args...)
		cmd.Env = append(cmd.Env, env)
		if shown := onTerminal(t, cmd); strings.Contains(shown, "\x1b") || !strings.Contains(shown, "exception:") {
			t.Errorf("with %s: %q", env, shown)
		}
	}
	// Elsewhere nothing is added, and nothing is taken from what was printed.
	got := pyexec(t, args...)
	if strings.Contains(got.err, "\x1b[31m") || got.out != "\x1b[2J\x1b]0;title\x07\n" {
		t.Errorf("without a terminal: %+v", got)
	}
}

// TestNamesFromAServer: nothing that a server says of a run reaches a terminal
// or a folder as it came.
func TestNamesFromAServer(t *testing.T) {
	for body, want := range map[string]string{
		`{"result":1,"stdout":"","files":[{"path":"output/a\u001b]0;x\u0007","content_base64":"eA=="}]}`: `the server names a file "a\x1b]0;x\a"`,
		`{"result":1,"stdout":"","files":[{"path":"output/../a","content_base64":"eA=="}]}`:              "path escapes from parent",
		`{"error":{"type":"a\u001b[2Jb","message":"m"},"stdout":""}`:                                     `a\x1b[2Jb:`,
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header().Set("Content-Type", "application/json")
			if strings.Contains(body, `"error"`) {
				w.WriteHeader(http.StatusBadRequest)
			}
			_, _ = io.WriteString(w, body)
		}))
		defer server.Close()
		dir := filepath.Join(t.TempDir(), "out")
		shown := onTerminal(t, command(t, "run", script(t, ""), "--server", server.URL, "--output", dir))
		if !strings.Contains(shown, want) || strings.Contains(shown, "\x1b[2J") || strings.Contains(shown, "\x1b]") {
			t.Errorf("%s: shown %q, want %q", body, shown, want)
		}
		if left, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(left) > 0 {
			t.Errorf("%s: left %q, %v", body, left, err)
		}
	}
}

// TestProgress appears after a second, and is gone in the end.
func TestProgress(t *testing.T) {
	server := e2etest.Start(t)
	file := script(t, "import time\ndef main():\n    time.sleep(1.6)\n    return 'done'")
	shown := onTerminal(t, command(t, "run", file, "--server", server.BaseURL))
	if !strings.Contains(shown, "running, 1 s") || !strings.Contains(shown, "\r\x1b[K\"done\"") {
		t.Errorf("shown: %q", shown)
	}
}

// TestInterrupt: nothing is left of a run that is not waited for.
func TestInterrupt(t *testing.T) {
	dir := t.TempDir()
	file := script(t, "import time\ndef main():\n    time.sleep(60)\n    return 1")
	cmd := command(t, "run", file, "--timeout=1m")
	cmd.Env = append(slices.DeleteFunc(cmd.Env, func(s string) bool { return strings.HasPrefix(s, "TMPDIR=") }), "TMPDIR="+dir)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	tree := func() []e2etest.Process { return e2etest.Tree(cmd.Process.Pid) }
	deadline := time.Now().Add(20 * time.Second)
	for len(tree()) < 4 { // nsjail, zygotes, a slot
		if time.Now().After(deadline) {
			t.Fatalf("the sandbox did not start: %v", tree())
		}
		time.Sleep(10 * time.Millisecond)
	}
	before := tree()
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if cmd.ProcessState.ExitCode() != 130 {
		t.Errorf("exit status %d, want 130", cmd.ProcessState.ExitCode())
	}
	for _, p := range before {
		if p.Alive() {
			t.Errorf("process %v has outlived its command", p)
		}
	}
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil && !errors.Is(err, os.ErrNotExist) || len(left) > 0 {
		t.Errorf("left in the temporary folder: %v, %v", left, err)
	}
}
