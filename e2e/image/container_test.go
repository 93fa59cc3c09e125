//go:build image

package image

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/python-code-executor/pyexec/e2e/e2etest"
)

const (
	startPatience = 90 * time.Second
	stopPatience  = "20"
	reapPatience  = 10 * time.Second

	leftoversPatience = 30 * time.Second
)

// docker runs a command of Docker's and returns what it printed.
func docker(t testing.TB, args ...string) string {
	t.Helper()
	out, err := tryDocker(context.Background(), args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func tryDocker(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "docker", args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("docker %s: %w: %s", strings.Join(args, " "), err, stderr.String())
	}
	return strings.TrimSpace(string(out)), nil
}

// container is a running server.
type container struct {
	id    string
	url   string
	first time.Duration // from docker run to the first right answer
}

// start runs the image with more options for docker run and arguments for the
// command, and waits for the first right answer and for /readyz.
func start(t *testing.T, options []string, args ...string) *container {
	t.Helper()
	began := time.Now()
	run := append([]string{"run", "-d", "--label", "pyexec-image-test", "-p", "127.0.0.1::8080"}, options...)
	c := &container{id: docker(t, append(append(run, *imageName), args...)...)}
	t.Cleanup(func() {
		if t.Failed() {
			logs, _ := exec.Command("docker", "logs", "--tail", "60", c.id).CombinedOutput()
			state, _ := exec.Command("docker", "inspect", "-f", "{{json .State}}", c.id).CombinedOutput()
			t.Logf("the container's state: %s\nthe end of its log:\n%s", state, logs)
		}
		if out, err := exec.Command("docker", "rm", "-f", c.id).CombinedOutput(); err != nil {
			t.Errorf("docker rm: %v: %s", err, out)
		}
	})
	c.url = "http://" + docker(t, "port", c.id, "8080/tcp")
	if at := strings.IndexByte(c.url, '\n'); at >= 0 { // IPv6 as well
		c.url = c.url[:at]
	}
	c.waitFor(t, func() bool { return c.hello() == nil })
	c.first = time.Since(began)
	c.waitFor(t, func() bool { status, _, err := c.get("/readyz"); return err == nil && status == http.StatusOK })
	return c
}

// waitFor asks until it holds, or the container has ended.
func (c *container) waitFor(t *testing.T, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(startPatience); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not serving after %v: %v", startPatience, c.hello())
		}
		if time.Now().UnixMilli()%100 < 5 && docker(t, "inspect", "-f", "{{.State.Running}}", c.id) != "true" {
			t.Fatal("the container ended")
		}
	}
}

var client = &http.Client{Timeout: 30 * time.Second}

func (c *container) get(path string) (int, []byte, error) {
	res, err := client.Get(c.url + path)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return res.StatusCode, body, err
}

func (c *container) execute(script string) (int, string, error) {
	request, err := json.Marshal(map[string]string{"script": script})
	if err != nil {
		return 0, "", err
	}
	res, err := client.Post(c.url+"/execute", "application/json", bytes.NewReader(request))
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return res.StatusCode, string(body), err
}

const helloScript = "def main():\n    return {\"message\": \"Hello World\"}"

// hello is nil when the brief's script is answered right.
func (c *container) hello() error {
	status, body, err := c.execute(helloScript)
	if err != nil {
		return err
	}
	if status != http.StatusOK || body != `{"result":{"message":"Hello World"},"stdout":""}` {
		return fmt.Errorf("hello: %d %s", status, body)
	}
	return nil
}

// health is what /health says.
type health struct {
	Status    string
	Packages  map[string]string
	Isolation struct {
		Level  string
		Layers map[string]struct {
			Active bool
			Detail string
		}
	}
}

func (c *container) health(t *testing.T) health {
	t.Helper()
	status, body, err := c.get("/health")
	if err != nil || status != http.StatusOK {
		t.Fatalf("/health: %d %s, %v", status, body, err)
	}
	var h health
	if err := json.Unmarshal(body, &h); err != nil {
		t.Fatalf("/health: %v", err)
	}
	return h
}

// process is one of the container's, by its numbers there.
type process struct {
	pid, parent, session int
	name                 string
	state                string
}

// processes are all but those of docker exec, which have no parent in there.
func (c *container) processes(t *testing.T) []process {
	t.Helper()
	text := docker(t, "exec", c.id, "sh", "-c", `for p in /proc/[0-9]*; do read -r l <"$p/stat" && echo "$l"; done 2>/dev/null; true`)
	var found []process
	for line := range strings.Lines(text) {
		open, end := strings.IndexByte(line, '('), strings.LastIndexByte(line, ')')
		if open < 0 || end < open {
			t.Fatalf("/proc/PID/stat: %q", line)
		}
		p := process{name: line[open+1 : end]}
		var group int
		if _, err := fmt.Sscan(line[:open], &p.pid); err != nil {
			t.Fatalf("/proc/PID/stat: %q: %v", line, err)
		}
		if _, err := fmt.Sscan(line[end+1:], &p.state, &p.parent, &group, &p.session); err != nil {
			t.Fatalf("/proc/PID/stat: %q: %v", line, err)
		}
		if p.parent != 0 || p.pid == 1 {
			found = append(found, p)
		}
	}
	return found
}

// sortOut says which processes are slots, and which are none of the server's,
// its nsjail, the zygotes in the session of the first one, the slots in
// sessions of their own, and one child of each slot: leftovers of runs.
func sortOut(all []process) (slots int, strangers []process) {
	byPid := map[int]process{}
	children := map[int]int{}
	for _, p := range all {
		byPid[p.pid] = p
		children[p.parent]++
	}
	python := func(p process) bool { return p.name == "python3" && p.state != "Z" }
	var zygote func(p process) bool
	zygote = func(p process) bool {
		parent := byPid[p.parent]
		return python(p) && (parent.name == "nsjail" && children[p.parent] == 1 || p.session == parent.session && zygote(parent))
	}
	slot := func(p process) bool { return python(p) && p.session == p.pid && zygote(byPid[p.parent]) }
	for _, p := range all {
		parent := byPid[p.parent]
		switch {
		case p.name == "pyexec" && (p.pid == 1 || p.parent == 1), p.name == "nsjail" && parent.name == "pyexec", zygote(p):
		case slot(p):
			slots++
		case python(p) && p.session == parent.pid && slot(parent) && children[p.parent] == 1 && children[p.pid] == 0:
		default:
			strangers = append(strangers, p)
		}
	}
	return slots, strangers
}

// rest warms the server and returns how many slots it then has.
func (c *container) rest(t *testing.T) int {
	t.Helper()
	e2etest.Warm(c.url)
	slots, _ := sortOut(c.processes(t))
	return slots
}

// zombies are the processes that nobody has reaped.
func (c *container) zombies(t *testing.T) []process {
	t.Helper()
	return slices.DeleteFunc(c.processes(t), func(p process) bool { return p.state != "Z" })
}
