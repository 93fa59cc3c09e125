package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// adapter makes a request of a job: path, headers and body; and finds the
// answer in a response's body.
type adapter struct {
	path   string
	header map[string]string
	body   func(t *httpTarget, j job) any
	answer func(body []byte) ([]byte, error)
}

var adapters = map[string]adapter{
	"pyexec": {
		path: "/execute",
		body: func(_ *httpTarget, j job) any { return map[string]any{"script": j.script} },
		answer: func(body []byte) ([]byte, error) {
			var r struct{ Result json.RawMessage }
			return r.Result, decode(body, &r, func() []byte { return r.Result })
		},
	},
	"go-judge": {
		path: "/run",
		body: func(t *httpTarget, j job) any {
			stream := func(name string) any { return map[string]any{"name": name, "max": 64 << 10} }
			return map[string]any{"cmd": []any{map[string]any{
				"args": []string{t.python, "-I", "-c", j.program()}, "env": cleanEnv,
				"files":    []any{map[string]any{"content": ""}, stream("stdout"), stream("stderr")},
				"cpuLimit": 10e9, "clockLimit": 20e9, "memoryLimit": 512 << 20, "procLimit": 50,
			}}}
		},
		answer: func(body []byte) ([]byte, error) {
			var r []struct {
				Status string
				Files  map[string]string
			}
			if err := json.Unmarshal(body, &r); err != nil || len(r) != 1 || r[0].Status != "Accepted" {
				return nil, fmt.Errorf("go-judge said %.300q", body)
			}
			return []byte(r[0].Files["stdout"]), nil
		},
	},
	"snekbox": {
		path: "/eval",
		body: func(_ *httpTarget, j job) any { return map[string]any{"input": j.program()} },
		answer: func(body []byte) ([]byte, error) {
			var r struct{ Stdout string }
			return []byte(r.Stdout), decode(body, &r, func() []byte { return []byte(r.Stdout) })
		},
	},
	"piston": {
		path: "/api/v2/execute",
		body: func(_ *httpTarget, j job) any {
			return map[string]any{"language": "python", "version": "*", "files": []any{map[string]any{"content": j.program()}}}
		},
		answer: func(body []byte) ([]byte, error) {
			var r struct{ Run struct{ Stdout string } }
			return []byte(r.Run.Stdout), decode(body, &r, func() []byte { return []byte(r.Run.Stdout) })
		},
	},
	"dify": {
		path:   "/v1/sandbox/run",
		header: map[string]string{"X-Api-Key": "dify-sandbox"},
		body: func(_ *httpTarget, j job) any {
			return map[string]any{"language": "python3", "code": j.program(), "preload": "", "enable_network": false}
		},
		answer: func(body []byte) ([]byte, error) {
			var r struct{ Data struct{ Stdout string } }
			return []byte(r.Data.Stdout), decode(body, &r, func() []byte { return []byte(r.Data.Stdout) })
		},
	},
}

func adapterNames() []string { return slices.Sorted(maps.Keys(adapters)) }

// decode fails where there is no answer in the body.
func decode(body []byte, into any, answer func() []byte) error {
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("response %.300q: %w", body, err)
	}
	if len(answer()) == 0 {
		return fmt.Errorf("no answer in %.300q", body)
	}
	return nil
}

// httpTarget is this server or a peer.
type httpTarget struct {
	title, url, python string
	call               adapter
	client             *http.Client
	stop               func()
}

// newClient keeps its connections alive.
func newClient() *http.Client {
	return &http.Client{
		Timeout: oneProcess,
		Transport: &http.Transport{
			MaxIdleConns: 4096, MaxIdleConnsPerHost: 4096, DisableCompression: true,
		},
	}
}

func (t *httpTarget) name() string { return t.title }

func (t *httpTarget) close() {
	t.client.CloseIdleConnections()
	if t.stop != nil {
		t.stop()
	}
}

// refusal is an answer that says no: not an error where there is overload.
type refusal struct {
	status     int
	retryAfter bool
	body       string
}

func (r *refusal) Error() string { return fmt.Sprintf("status %d: %.300s", r.status, r.body) }

func (t *httpTarget) run(ctx context.Context, w workload) (time.Duration, error) {
	j := w.next()
	body, err := json.Marshal(t.call.body(t, j))
	if err != nil {
		return 0, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.url+t.call.path, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	for key, value := range t.call.header {
		req.Header.Set(key, value)
	}
	resp, err := t.client.Do(req)
	if err != nil {
		return 0, err
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	resp.Body.Close()
	if err != nil {
		return 0, err
	}
	if resp.StatusCode != http.StatusOK {
		return 0, &refusal{resp.StatusCode, resp.Header.Get("Retry-After") != "", string(text)}
	}
	answer, err := t.call.answer(text)
	if err != nil {
		return 0, err
	}
	return 0, j.check(answer)
}

// newPeer makes a target of NAME=URL,ADAPTER, or installs go-judge.
func newPeer(ctx context.Context, b *bench, spec string) (target, error) {
	if name, version, _ := strings.Cut(spec, "@"); name == "go-judge" {
		return startGoJudge(ctx, b, cmp.Or(version, goJudge))
	}
	name, rest, ok := strings.Cut(spec, "=")
	url, kind, ok2 := strings.Cut(rest, ",")
	call, known := adapters[kind]
	if !ok || !ok2 || !known {
		return nil, fmt.Errorf("not NAME=URL,ADAPTER with an adapter of %s", strings.Join(adapterNames(), ", "))
	}
	return &httpTarget{title: name, url: strings.TrimSuffix(url, "/"), python: "python3", call: call, client: newClient()}, nil
}

// goJudge is a version that the Go proxy and the checksum database both have.
const goJudge = "v1.8.5"

// startGoJudge builds go-judge in the temporary folder, in a module of its own
// since `go install` asks the proxy for more than it always has, and starts it.
func startGoJudge(ctx context.Context, b *bench, version string) (target, error) {
	module := "module bench\n\ngo 1.26\n\nrequire github.com/criyle/go-judge " + version + "\n"
	if err := os.WriteFile(filepath.Join(b.dir, "go.mod"), []byte(module), 0o644); err != nil {
		return nil, err
	}
	build := exec.CommandContext(ctx, "go", "build", "-mod=mod", "-o", "go-judge", "github.com/criyle/go-judge/cmd/go-judge")
	build.Dir = b.dir
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go build: %w: %s", err, out[max(0, len(out)-2000):])
	}
	mounts := "mount:\n"
	for _, dir := range []string{"/bin", "/lib", "/lib64", "/usr", "/etc/alternatives", filepath.Dir(filepath.Dir(b.python))} {
		if _, err := os.Stat(dir); err == nil {
			mounts += fmt.Sprintf("  - {type: bind, source: %s, target: %s, readonly: true}\n", dir, dir)
		}
	}
	mounts += "  - {type: bind, source: /dev/null, target: /dev/null}\n  - {type: bind, source: /dev/urandom, target: /dev/urandom}\n" +
		"  - {type: tmpfs, target: /w, data: \"size=64m,nr_inodes=4k\"}\n  - {type: tmpfs, target: /tmp, data: \"size=64m,nr_inodes=4k\"}\n" +
		"proc: true\nworkDir: /w\nhostName: judge\ndomainName: judge\nuid: 1536\ngid: 1536\n"
	config := filepath.Join(b.dir, "mount.yaml")
	if err := os.WriteFile(config, []byte(mounts), 0o644); err != nil {
		return nil, err
	}
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	group := "bench-go-judge-" + strconv.Itoa(os.Getpid())
	cmd := exec.Command(filepath.Join(b.dir, "go-judge"),
		"-http-addr", addr, "-mount-conf", config, "-dir", filepath.Join(b.dir, "judge-files"), "-silent", "-pre-fork", "4",
		"-parallelism", strconv.Itoa(clientsAtMost), "-cgroup-prefix", group)
	cmd.Dir = b.dir
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	t := &httpTarget{title: "go-judge", url: "http://" + addr, python: b.python, call: adapters["go-judge"], client: newClient(), stop: func() {
		_ = cmd.Process.Signal(os.Interrupt)
		timer := time.AfterFunc(10*time.Second, func() { _ = cmd.Process.Kill() })
		defer timer.Stop()
		_ = cmd.Wait()
		removeGroups("/sys/fs/cgroup/" + group)
		found, _ := filepath.Glob("/sys/fs/cgroup/*/" + group)
		for _, dir := range found {
			removeGroups(dir)
		}
	}}
	for deadline := time.Now().Add(20 * time.Second); ; {
		_, err := t.run(ctx, hello)
		if err == nil {
			return t, nil
		}
		var no *refusal
		if ctx.Err() != nil || time.Now().After(deadline) || errors.As(err, &no) {
			t.close()
			return nil, err
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// removeGroups removes a group with all below it, as soon as what was in it
// has ended; go-judge leaves its own.
func removeGroups(dir string) {
	for range 100 {
		removeTree(dir)
		if _, err := os.Stat(dir); err != nil {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	fmt.Fprintln(os.Stderr, "bench: not removed:", dir)
}

func removeTree(dir string) {
	inner, _ := filepath.Glob(filepath.Join(dir, "*/"))
	for _, d := range inner {
		removeTree(d)
	}
	_ = os.Remove(dir)
}

// freeAddr is an address that nobody listened on a moment ago.
func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
