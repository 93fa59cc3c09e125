package corpus

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// fake is a server that answers a script with what its last line says, after
// "#!", and the plain script rightly.
type fake struct {
	mu       sync.Mutex
	scripts  []string
	unwell   atomic.Bool
	badPlain atomic.Bool
	counter  atomic.Int64
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	if r.URL.Path == "/health" {
		if f.unwell.Load() {
			w.WriteHeader(503)
		}
		_, _ = w.Write([]byte(`{"status": "ok", "packages": {"numpy": "1.26"}, "isolation": {"level": "full", "layers": []}}`))
		return
	}
	var req struct{ Script string }
	_ = json.NewDecoder(r.Body).Decode(&req)
	body := `{"result": {"sum": 45, "pi": 3.142, "json": {"a": [1, 2]}, "tmp": ["plain"], "args": 1}, "stdout": "plain\n"}`
	if f.badPlain.Load() {
		body = `{"result": {}, "stdout": "plain\n"}`
	}
	if _, says, ok := strings.Cut(req.Script, "#!"); ok {
		f.mu.Lock()
		f.scripts = append(f.scripts, req.Script)
		f.mu.Unlock()
		body = strings.ReplaceAll(strings.TrimSpace(says), "COUNTER", time.Duration(f.counter.Add(1)).String())
	}
	if strings.HasPrefix(body, `{"error"`) {
		w.WriteHeader(400)
	}
	_, _ = w.Write([]byte(body))
}

func start(t *testing.T) (*fake, string) {
	t.Helper()
	f := &fake{}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	return f, server.URL
}

func says(expect, tags, more, answer string) string {
	return "# expect: " + expect + "\n# property: " + tags + " x\n# class: data\n" + more + "\n#! " + answer + "\n"
}

func options(dir string) Options {
	return Options{Dir: dir, Linger: 300 * time.Millisecond, HostRoots: []string{dir}}
}

func run(t *testing.T, url string, o Options) *Report {
	t.Helper()
	report, err := Run(t.Context(), url, o)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func failuresOf(r *Report) map[string]string {
	found := map[string]string{}
	for _, o := range r.Outcomes {
		if o.Failures != nil {
			found[o.Name] = strings.Join(o.Failures, "\n")
		}
	}
	return found
}

func TestRun(t *testing.T) {
	f, url := start(t)
	dir := folder(t, map[string]string{
		"good":    says("ok", "[health]", "", `{"result": 1, "stdout": ""}`),
		"escape":  says("blocked-or-contained", "[health]", "", `{"result": {"contained": false}, "stdout": ""}`),
		"numpy":   says("ok", "[health]", "# needs: numpy\n", `{"result": 1, "stdout": ""}`),
		"pandas":  says("ok", "[health]", "# needs: pandas\n", `{"result": 1, "stdout": ""}`),
		"arch":    says("ok", "[health]", "# arch: x86_64\n", `{"result": 1, "stdout": ""}`),
		"differs": says("ok", "[distinct]", "", `{"result": "COUNTER", "stdout": ""}`),
		"repeats": says("ok", "[distinct]", "", `{"result": "same", "stdout": ""}`),
		"a":       says("ok", "[tenant]", "# pair: b\n# pair-order: "+Both+"\n", `{"result": 1, "stdout": ""}`),
		"b":       says("ok", "[tenant]", "# pair: a\n# pair-order: "+Both+"\n", `{"result": 2, "stdout": ""}`),
	})
	report := run(t, url, options(dir))
	executed, passed, failed, skipped := report.Counts()
	if executed < 7 || executed+skipped != 9 || failed != 2 || passed != executed-2 || report.Missing() != 0 || report.OK() {
		t.Errorf("%s", report)
	}
	found := failuresOf(report)
	if !strings.Contains(found["escape"], "not contained") || !strings.Contains(found["repeats"], "distinct: two runs") {
		t.Errorf("failures %q", found)
	}
	count := func(what string) int {
		n := 0
		for _, s := range f.scripts {
			if strings.Contains(s, what) {
				n++
			}
		}
		return n
	}
	if count("pair: b") != pairTimes+1 || count("pair: a") != 3*pairTimes || count("COUNTER") != distinctRuns {
		t.Errorf("ran A %d, B %d and the distinct one %d times", count("pair: b"), count("pair: a"), count("COUNTER"))
	}
	if !strings.Contains(report.Line(), "at level full, policy off: ") {
		t.Errorf("Line = %q", report.Line())
	}
}

func TestRunNoticesWhatNoAnswerShows(t *testing.T) {
	good := map[string]string{"good": says("ok", "[health]", "", `{"result": 1, "stdout": ""}`)}
	t.Run("an unwell server", func(t *testing.T) {
		f, url := start(t)
		o := options(folder(t, good))
		o.Leftovers = func() error { return nil }
		time.AfterFunc(50*time.Millisecond, func() { f.unwell.Store(true) })
		if report := run(t, url, o); report.OK() || !strings.Contains(report.String(), "/health at") {
			t.Errorf("%s", report)
		}
	})
	t.Run("leftovers", func(t *testing.T) {
		_, url := start(t)
		o := options(folder(t, good))
		o.Leftovers = func() error { return errors.New("left behind: a daemon") }
		if report := run(t, url, o); report.OK() || !slices.Contains(report.Problems, "left behind: a daemon") {
			t.Errorf("%s", report)
		}
	})
	t.Run("a wrong next run", func(t *testing.T) {
		f, url := start(t)
		o := options(folder(t, good))
		o.Logf = func(string, ...any) {}
		scripts, err := Load(o.Dir)
		if err != nil {
			t.Fatal(err)
		}
		c, err := newClient(url, scripts, http.DefaultTransport)
		if err != nil {
			t.Fatal(err)
		}
		r := &runner{options: o.withDefaults(), client: c, report: &Report{}, mode: Mode{Policy: "off"}}
		f.badPlain.Store(true)
		r.single(scripts[0])
		if found := failuresOf(r.report)["good"]; !strings.Contains(found, "plain run: result") {
			t.Errorf("failures %q", found)
		}
	})
	t.Run("a server that never worked", func(t *testing.T) {
		f, url := start(t)
		f.badPlain.Store(true)
		if _, err := Run(t.Context(), url, options(folder(t, good))); err == nil {
			t.Error("Run judged hostile scripts on a server that fails plain ones")
		}
	})
}

func TestRunFiltersAndShuffles(t *testing.T) {
	f, url := start(t)
	files := map[string]string{}
	for _, name := range strings.Fields("a b c d e f g h") {
		files[name] = says("ok", "[health]", "", `{"result": "`+name+`", "stdout": ""}`)
	}
	o := options(folder(t, files))
	o.Alone, o.Seed = true, 7
	o.Only = regexp.MustCompile("[b-h]")
	if report := run(t, url, o); !report.OK() || len(report.Outcomes) != 7 {
		t.Errorf("%s", report)
	}
	if slices.IsSorted(f.scripts) {
		t.Error("the scripts were not shuffled")
	}
}

func TestCanaries(t *testing.T) {
	c, err := NewCanaries()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	if found := c.Check(); found != nil {
		t.Errorf("Check = %q before anything happened", found)
	}
	for network, addr := range map[string]string{"tcp": canaryAddr, "unix": canaryAbstract} {
		dialAndClose(t, network, addr)
	}
	time.Sleep(50 * time.Millisecond)
	if found := c.Check(); len(found) != 2 {
		t.Errorf("Check = %q after two connections", found)
	}
	if err := os.WriteFile(canaryFile, []byte("x"), 0o666); err != nil {
		t.Fatal(err)
	}
	if found := c.Check(); len(found) != 1 || !strings.Contains(found[0], "was changed") {
		t.Errorf("Check = %q after the file was written to", found)
	}
}

func TestHostChanges(t *testing.T) {
	dir := t.TempDir()
	kept := filepath.Join(dir, "kept")
	write := func(path, text string) {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(kept, "1")
	before := lookAtHost([]string{dir})
	if found := before.changes(lookAtHost([]string{dir}), nil); found != nil {
		t.Errorf("changes = %q of nothing", found)
	}
	write(kept, "12")
	write(filepath.Join(dir, "new"), "")
	found := strings.Join(before.changes(lookAtHost([]string{dir}), nil), "\n")
	if !strings.Contains(found, "changed on the host: "+kept) || !strings.Contains(found, "new on the host: ") {
		t.Errorf("changes = %q", found)
	}
}
