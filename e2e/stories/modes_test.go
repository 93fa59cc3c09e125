package stories

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/python-code-executor/pyexec/e2e/e2etest"
)

// hostile tries what no level of isolation may let happen. Its answer names
// what did.
const hostile = `
import os, socket, sys

def main(where):
    happened = []
    def attempt(name, action):
        try:
            got = action()
        except Exception:
            return
        happened.append(f"{name}: {got!r:.60}")
    for path in where["files"]:
        attempt("read " + path, lambda: open(path, "rb").read(1))
        attempt("append to " + path, lambda: open(path, "ab").close())
    for folder in where["folders"]:
        attempt("write in " + folder, lambda: open(folder + "/pyexec-hostile", "w").close())
    def fork():
        if os.fork() == 0:
            os._exit(0)
        return "forked"
    attempt("fork", fork)
    attempt("exec", lambda: os.posix_spawn("/bin/true", ["true"], {}))
    attempt("connect", lambda: socket.create_connection((where["host"], where["port"]), 1))
    attempt("signal the server", lambda: os.kill(where["pid"], 0))
    attempt("environment", lambda: open(f"/proc/{where['pid']}/environ", "rb").read())
    attempt("secret", lambda: os.environ["STORIES_SECRET"])
    attempt("root", lambda: os.setuid(0))
    return happened
`

// hosts checks that scripts can do nothing to the host.
func hosts(t *testing.T, server *e2etest.Server) {
	t.Helper()
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	host, port, _ := strings.Cut(strings.TrimPrefix(server.BaseURL, "http://"), ":")
	n := 0
	for _, digit := range port {
		n = n*10 + int(digit-'0')
	}
	execute(t, server.BaseURL, request{"script": hostile, "input": map[string]any{
		"files":   []string{secret, "/etc/shadow", "/root/.bashrc", e2etest.Repo(t, "go.mod"), "/proc/1/environ", "/sys/kernel/notes"},
		"folders": []string{"/", "/var/tmp", "/usr", "/etc", filepath.Dir(secret)},
		"host":    host, "port": n, "pid": server.Pid,
	}}).want(t, "[]")
}

// works runs what every mode of the server must be able to.
func works(t *testing.T, server *e2etest.Server) {
	t.Helper()
	execute(t, server.BaseURL, request{"script": "def main():\n    return {\"message\": \"Hello World\"}"}).want(t, `{"message":"Hello World"}`)
	execute(t, server.BaseURL, request{"script": "import pandas, numpy, requests\n" + inMain("return pandas.DataFrame({'a': numpy.arange(4)}).a.sum()")}).want(t, "6")
	execute(t, server.BaseURL, request{"script": inMain("open('x', 'w').write('1'); open('/tmp/y', 'w').write('2')", "import os", "return [os.listdir(), os.listdir('/tmp')]")}).want(t, `[["x"],["y"]]`)
	execute(t, server.BaseURL, request{"script": inMain("while True: pass"), "timeout_ms": 300}).fails(t, 400, "timeout")
	execute(t, server.BaseURL, request{"script": inMain("b = []", "while True: b.append(bytearray(b'x') * (1 << 20))"), "memory_mb": 64}).fails(t, 400, "memory_limit")
}

func layersOf(t *testing.T, server *e2etest.Server) (level string, layers map[string]any) {
	t.Helper()
	health := get(t, server.BaseURL+"/health")
	if health.status != 200 {
		t.Errorf("/health: %d %s", health.status, health.text)
	}
	isolation, _ := health.body["isolation"].(map[string]any)
	level, _ = isolation["level"].(string)
	layers, _ = isolation["layers"].(map[string]any)
	return level, layers
}

// TestWithoutNSJail: the server serves, says what is missing and what would
// give it, and contains scripts all the same.
func TestWithoutNSJail(t *testing.T) {
	t.Parallel()
	server := launch(t, e2etest.Config{
		Args: []string{"--nsjail=none", "--policy=off"}, Env: []string{"STORIES_SECRET=1"},
	})
	before := server.Settle()
	_, layers := layersOf(t, server)
	layer, _ := layers["nsjail"].(map[string]any)
	detail, _ := layer["detail"].(string)
	if layer["active"] != false || !strings.Contains(detail, "make setup") {
		t.Errorf("nsjail: %v", layer)
	}
	if !strings.Contains(server.Log(), "without nsjail") {
		t.Errorf("the log does not say that nsjail is missing:\n%s", server.Log())
	}
	works(t, server)
	hosts(t, server)
	pair(t, server)
	server.AssertClean(t, before)
	shot := server.Snapshot()
	server.Kill()
	eventually(t, time.Second, func() bool { return len(survivors(shot)) == 0 })
}

// TestContained: the same as root and with all that there is.
func TestContained(t *testing.T) {
	t.Parallel()
	server := launch(t, e2etest.Config{Args: []string{"--policy=off"}, Env: []string{"STORIES_SECRET=1"}})
	works(t, server)
	hosts(t, server)
}

// ordinary is a configuration that starts the server as an ordinary user. The
// test is skipped where that user cannot read the interpreter.
func ordinary(t *testing.T) e2etest.Config {
	t.Helper()
	e2etest.RequireServer(t)
	binary, err := e2etest.Binary()
	if err != nil {
		t.Fatal(err)
	}
	if os.Getuid() != 0 {
		return e2etest.Config{Binary: binary}
	}
	user := &syscall.Credential{Uid: 65534, Gid: 65534}
	dir, err := os.MkdirTemp("", "pyexec-e2e-*")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chown(dir, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	from, err := os.Open(binary)
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	to, err := os.OpenFile(filepath.Join(dir, "pyexec"), os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(to, from); err != nil {
		t.Fatal(err)
	}
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
	// The checkout may stand where only root comes: hard links where they can
	// be had cost nothing, and a copy is the same.
	home := filepath.Join(dir, ".pyexec")
	for _, flag := range []string{"-al", "-a"} {
		os.RemoveAll(home)
		var out []byte
		if out, err = exec.Command("cp", flag, e2etest.Repo(t, ".pyexec"), home).CombinedOutput(); err == nil {
			break
		}
		t.Logf("cp %s: %v\n%s", flag, err, out)
	}
	if err != nil {
		t.Fatal(err)
	}
	return e2etest.Config{Binary: to.Name(), User: user, Env: []string{
		"TMPDIR=" + dir, "HOME=",
		"PYEXEC_PYTHON=" + filepath.Join(home, "venv", "bin", "python3"),
		"PYEXEC_NSJAIL=" + filepath.Join(home, "bin", "nsjail"),
	}}
}

// TestOrdinaryUser: without root there is the same isolation, and memory is
// bounded without a cgroup, at nobody else's cost.
func TestOrdinaryUser(t *testing.T) {
	t.Parallel()
	config := ordinary(t)
	config.Args = []string{"--policy=off", "--concurrency=4", "--ready=4"} // a pool of one size, so that what is left over shows
	config.Env = append(config.Env, "STORIES_SECRET=1")
	server := launch(t, config)
	before := server.Settle()
	level, layers := layersOf(t, server)
	if level != "full" && os.Getuid() == 0 { // where we are root, user namespaces work
		t.Errorf("level %s: %v", level, layers)
	}
	for name, active := range map[string]bool{"cgroup": false, "memory_watcher": true} {
		if layer, _ := layers[name].(map[string]any); layer["active"] != active && os.Getuid() == 0 {
			t.Errorf("%s: %v", name, layer)
		}
	}
	works(t, server)
	hosts(t, server)
	var all sync.WaitGroup
	all.Go(func() {
		execute(t, server.BaseURL, request{"script": inMain("import time", "kept = bytearray(b'x') * (100 << 20)", "time.sleep(2)", "return len(kept)")}).want(t, "104857600")
	})
	for name, source := range map[string]string{
		"filled at once": inMain("print('p', end='')", "b = bytearray(b'x') * (1 << 30)", "return len(b)"),
		"touched":        inMain("print('p', end='')", "b = bytearray(1 << 30)", "for i in range(0, len(b), 4096): b[i] = 1", "return len(b)"),
		"slowly":         inMain("import time", "print('p', end='')", "kept = []", "while True:", "    kept.append(bytearray(b'x') * (10 << 20))", "    time.sleep(0.02)"),
		"mapped":         inMain("import mmap", "print('p', end='')", "kept = []", "while True:", "    m = mmap.mmap(-1, 20 << 20)", "    m.write(b'x' * (20 << 20))", "    kept.append(m)"),
	} {
		all.Go(func() {
			a := execute(t, server.BaseURL, request{"script": source})
			if a.fails(t, 400, "memory_limit"); a.stdout() != "p" {
				t.Errorf("%s: stdout %q", name, a.stdout())
			}
		})
	}
	all.Wait()
	server.AssertClean(t, before)
}
