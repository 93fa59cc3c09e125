package stories

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestDetails(t *testing.T) {
	t.Parallel()
	url := shared(t)
	a := execute(t, url, request{"details": true, "script": "import os, sys, time\n" + inMain(
		"kept = bytearray(b'x') * (80 << 20)",
		"end = time.process_time() + 0.2",
		"while time.process_time() < end: pass",
		"time.sleep(0.2)",
		"print('out'); print('err', file=sys.stderr)",
		"os.makedirs('output/deep')",
		"open('output/a.txt', 'w').write('ä')",
		"left_open = open('output/deep/b.bin', 'wb'); left_open.write(b'\\x00\\xff')",
		"os.symlink('/etc/passwd', 'output/link')",
		"open('beside', 'w').write('not collected')",
		"return 1")}, "X-Request-Id", "mine-1")
	a.want(t, "1")
	if got := slices.Sorted(maps.Keys(a.body)); !slices.Equal(got, []string{"files", "id", "isolation", "result", "stderr", "stdout", "usage"}) {
		t.Errorf("members %v", got)
	}
	if a.body["id"] != "mine-1" || a.body["stdout"] != "out\n" || a.body["stderr"] != "err\n" {
		t.Errorf("id %v, stdout %q, stderr %q", a.body["id"], a.body["stdout"], a.body["stderr"])
	}
	usage, _ := a.body["usage"].(map[string]any)
	for name, bounds := range map[string][2]int64{
		"wall_ms": {400, a.took.Milliseconds()}, "cpu_ms": {200, a.took.Milliseconds() * 2},
		"memory_bytes": {80 << 20, 512 << 20}, "queue_ms": {0, a.took.Milliseconds()},
	} {
		number, _ := usage[name].(json.Number)
		if n, err := number.Int64(); err != nil || n < bounds[0] || n > bounds[1] {
			t.Errorf("usage.%s is %v, want %v", name, usage[name], bounds)
		}
	}
	files := map[string]string{}
	list, _ := a.body["files"].([]any)
	for _, entry := range list {
		file := entry.(map[string]any)
		content, err := base64.StdEncoding.DecodeString(file["content_base64"].(string))
		if err != nil {
			t.Error(err)
		}
		files[file["path"].(string)] = string(content)
		want := map[string]string{"output/a.txt": "text/plain", "output/deep/b.bin": "application/octet-stream"}[file["path"].(string)]
		if file["media_type"] != want || file["size"] != json.Number(itoa(len(content))) {
			t.Errorf("%s has media type %v and size %v", file["path"], file["media_type"], file["size"])
		}
	}
	if want := map[string]string{"output/a.txt": "ä", "output/deep/b.bin": "\x00\xff"}; !maps.Equal(files, want) {
		t.Errorf("files %q, want %q", files, want)
	}
	isolation, _ := a.body["isolation"].(map[string]any)
	layers, _ := isolation["layers"].(map[string]any)
	if isolation["level"] != a.header.Get("X-Isolation") || len(layers) < 10 {
		t.Errorf("isolation %v, X-Isolation %s", isolation, a.header.Get("X-Isolation"))
	}
	// A failure has them too; without details there is nothing but the two.
	a = execute(t, url, request{"details": true, "script": inMain("open('x').read()", "return 1")})
	if a.fails(t, 400, "exception"); a.body["usage"] == nil || a.body["isolation"] == nil {
		t.Errorf("a failure's members: %v", slices.Sorted(maps.Keys(a.body)))
	}
	if a = execute(t, url, request{"script": inMain("return 1")}); len(a.body) != 2 {
		t.Errorf("without details: %s", a.text)
	}
}

// TestOutputCap: what goes beyond it is dropped, the run goes on and the
// stream says so in its last line.
func TestOutputCap(t *testing.T) {
	t.Parallel()
	url := shared(t)
	const limit = 1 << 20
	for name, c := range map[string]struct {
		print   string
		kept    string // the end of what is kept
		dropped int
	}{
		"lines":       {"for _ in range(300_000): print('1234567')", "1234567\n", 300_000*8 - limit},
		"one line":    {"print('x' * (3 << 20), end='')", "x\n", 2 << 20},
		"cut letter":  {"print('a' + 'ü' * limit, end='')", "ü\n", limit + 2},
		"exactly":     {"print('x' * limit, end='')", "x", 0},
		"one too far": {"print('x' * limit)", "x\n", 1},
	} {
		t.Run(name, func(t *testing.T) {
			a := execute(t, url, request{"details": true, "script": "import sys\nlimit = 1 << 20\n" + inMain(c.print, "sys.stderr.write('e' * 9)", "return 1")})
			a.want(t, "1")
			text, marker := a.stdout(), "[output truncated: "+itoa(c.dropped)+" bytes dropped]\n"
			if c.dropped > 0 {
				if !strings.HasSuffix(text, marker) {
					t.Errorf("stdout ends %q, want %q", text[max(0, len(text)-80):], marker)
				}
				text = strings.TrimSuffix(text, marker)
				want := map[string]any{"stdout": json.Number(itoa(c.dropped))}
				if got, _ := a.body["truncated"].(map[string]any); !maps.Equal(got, want) {
					t.Errorf("truncated %v, want %v", got, want)
				}
			} else if a.body["truncated"] != nil {
				t.Errorf("truncated %v", a.body["truncated"])
			}
			if !strings.HasSuffix(text, c.kept) || len(text) < limit-1 || len(text) > limit+1 {
				t.Errorf("%d bytes are kept, ending %q", len(text), text[max(0, len(text)-20):])
			}
		})
	}
	a := execute(t, url, request{"details": true, "script": "import sys\n" + inMain("sys.stderr.write('e' * (2 << 20))", "while True: print('x' * 10_000)"), "timeout_ms": 500})
	a.fails(t, 400, "timeout")
	if dropped, _ := a.body["truncated"].(map[string]any); dropped["stderr"] != json.Number(itoa(1<<20)) || dropped["stdout"] == nil {
		t.Errorf("of both streams: truncated %v", dropped)
	}
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	url := shared(t)
	one := request{"script": inMain("import time", "time.sleep(0.1)", "return 1")}
	a := execute(t, url, one)
	if !regexp.MustCompile(`^[A-Za-z0-9._-]{16,64}$`).MatchString(a.header.Get("X-Request-Id")) {
		t.Errorf("X-Request-Id %q", a.header.Get("X-Request-Id"))
	}
	timing := a.timing()
	if len(timing) != 3 || timing["run"] < 100*time.Millisecond || timing["queue"]+timing["spawn"]+timing["run"] > a.took+time.Millisecond {
		t.Errorf("Server-Timing %q of an answer that took %v", a.header.Get("Server-Timing"), a.took)
	}
	for name, want := range map[string]string{"Content-Type": "application/json", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"} {
		if a.header.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, a.header.Get(name), want)
		}
	}
	if execute(t, url, one).header.Get("X-Request-Id") == a.header.Get("X-Request-Id") {
		t.Error("two answers have one X-Request-Id")
	}
	for given, kept := range map[string]bool{"req_1.2-A": true, strings.Repeat("x", 64): true, strings.Repeat("x", 65): false, "a b": false, "<script>": false} {
		a, err := try(t.Context(), url, request{"script": "x = 1"}, "X-Request-Id", given)
		if err != nil || (a.header.Get("X-Request-Id") == given) != kept {
			t.Errorf("X-Request-Id %q is answered by %q, %v", given, a.header.Get("X-Request-Id"), err)
		}
	}
}

// TestTraceparent: the client's trace is in the server's log line.
func TestTraceparent(t *testing.T) {
	t.Parallel()
	shared(t)
	server, err := plain()
	if err != nil {
		t.Fatal(err)
	}
	const trace, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	execute(t, server.BaseURL, request{"script": inMain("return 1")}, "Traceparent", "00-"+trace+"-"+parent+"-01", "X-Request-Id", "traced-run").want(t, "1")
	eventually(t, 5*time.Second, func() bool {
		for line := range strings.Lines(server.Log()) {
			if strings.Contains(line, "traced-run") {
				return strings.Contains(line, trace) && strings.Contains(line, parent)
			}
		}
		return false
	})
}

func TestHealth(t *testing.T) {
	t.Parallel()
	url := shared(t)
	var health answer
	eventually(t, 30*time.Second, func() bool { // the packages are imported after the start
		health = get(t, url+"/health")
		return strings.Contains(health.text, `"pandas"`)
	})
	if health.status != 200 || health.body["status"] != "ok" || !regexp.MustCompile(`^3\.\d+\.\d+$`).MatchString(health.body["python"].(string)) {
		t.Errorf("%d %s", health.status, health.text)
	}
	packages, _ := health.body["packages"].(map[string]any)
	a := execute(t, url, request{"script": "import numpy, pandas, requests, platform\n" + inMain(
		"return {'numpy': numpy.__version__, 'pandas': pandas.__version__, 'requests': requests.__version__}")})
	for name, version := range a.result(t).(map[string]any) {
		if packages[name] != version {
			t.Errorf("%s %v, a run has %v", name, packages[name], version)
		}
	}
	isolation, _ := health.body["isolation"].(map[string]any)
	layers, _ := isolation["layers"].(map[string]any)
	for name, entry := range layers {
		if layer, _ := entry.(map[string]any); layer["active"] != true && layer["detail"] == nil {
			t.Errorf("layer %s is not active, and nobody says why", name)
		}
	}
	if isolation["level"] != a.header.Get("X-Isolation") || len(layers) < 10 {
		t.Errorf("isolation %v", isolation)
	}
	for _, path := range []string{"/livez", "/readyz"} {
		if a := get(t, url+path); a.status != 200 || a.text != `{"status":"ok"}` {
			t.Errorf("%s: %d %s", path, a.status, a.text)
		}
	}
	a, err := send(t.Context(), "HEAD", url+"/health", nil)
	if a.status != 200 || a.text != "" {
		t.Errorf("HEAD: %d %q, %v", a.status, a.text, err)
	}
}
