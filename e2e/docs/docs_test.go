package docs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/python-code-executor/pyexec/e2e/e2etest"
)

func TestMain(m *testing.M) { e2etest.Main(m) }

// leastExamples is fewer than there are, so that a reader of pages that finds
// none is noticed.
const leastExamples = 20

func TestExamples(t *testing.T) {
	e2etest.RequireServer(t)
	server := e2etest.Start(t)
	pages := []string{"README.md", "SECURITY.md", "CONTRIBUTING.md", "clients/python/README.md"}
	found, err := filepath.Glob(e2etest.Repo(t, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range found {
		pages = append(pages, "docs/"+filepath.Base(page))
	}
	ran := 0
	for _, page := range pages {
		t.Run(page, func(t *testing.T) {
			text, err := os.ReadFile(e2etest.Repo(t, page))
			if err != nil {
				t.Fatal(err)
			}
			all, err := blocks(string(text))
			if err != nil {
				t.Fatalf("%s:\n%v", page, err)
			}
			r := reader{t: t, page: page, url: server.BaseURL, dir: folder(t)}
			for _, b := range all {
				r.read(b)
			}
			ran += r.ran
		})
	}
	if ran < leastExamples {
		t.Errorf("only %d examples were run in %d pages", ran, len(pages))
	}
	t.Logf("%d examples in %d pages", ran, len(pages))
}

// folder is like a checkout after make build, for what an example leaves.
func folder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	binary, err := e2etest.Binary()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "bin"), 0o700); err != nil {
		t.Fatal(err)
	}
	// A file of its own: a link would be found to stand in a checkout.
	if err := os.Link(binary, filepath.Join(dir, "bin", "pyexec")); err != nil {
		text, err := os.ReadFile(binary)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, "bin", "pyexec"), text, 0o700)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// reader runs the blocks of a page one after the other.
type reader struct {
	t       *testing.T
	page    string
	url     string // of the server, which the pages call http://localhost:8080
	dir     string
	ran     int
	printed *string // by the block before, unless that was compared or skipped
	unrun   bool    // the block before was skipped
}

// cutOutput is a line of output that a busy machine has cut into two events.
var cutOutput = regexp.MustCompile(`(data: \{"text":".*)"\}\n\nevent: stdout\ndata: \{"text":"`)

func (r *reader) read(b block) {
	at := fmt.Sprintf("%s, line %d", r.page, b.line)
	if b.skip != "" {
		r.printed, r.unrun = nil, true
		return
	}
	if b.isAnswer() {
		switch {
		case r.unrun:
		case r.printed == nil && b.language == "json":
			r.t.Errorf("%s: JSON that nothing prints", at)
		case r.printed != nil:
			if how := differs(b, *r.printed); how != "" {
				r.t.Errorf("%s: %s", at, how)
			}
		}
		r.printed, r.unrun = nil, false
		return
	}
	out, ok := "", true
	switch {
	case b.language == "sh":
		out = r.shell(at, b)
	case b.isScript():
		body, _ := json.Marshal(map[string]string{"script": b.text})
		out = r.post(at, string(body))
	case b.isRequest():
		out = r.post(at, b.text)
	case b.language == "python":
		out = r.command(at, 0, r.pythonWithClient(), "-c", r.here(b.text))
	case b.language == "go":
		file := filepath.Join(r.dir, "main.go")
		if err := os.WriteFile(file, []byte(r.here(b.text)), 0o600); err != nil {
			r.t.Fatal(err)
		}
		out = r.command(at, 0, "go", "run", "-C", e2etest.Repo(r.t), file)
	case b.language == "" || b.language == "yaml" || b.language == "dockerfile":
		ok = false
	default:
		r.t.Errorf("%s: a block in %q: is it an example?", at, b.language)
		ok = false
	}
	r.printed, r.unrun = nil, false
	if ok {
		r.ran++
		out = cutOutput.ReplaceAllString(out, "$1")
		r.printed = &out
	}
}

// serve is a line of a shell block that starts a server.
var serve = regexp.MustCompile(`(?m)^(?:bin/)?pyexec serve\b(.*)$`)

// shell runs a block. A server that it starts takes the place of the one before
// for the rest of the page; its variables are there for later blocks.
func (r *reader) shell(at string, b block) (out string) {
	for text := b.text; text != ""; {
		before, args := text, []string(nil)
		if m := serve.FindStringSubmatchIndex(text); m != nil {
			before, args, text = text[:m[0]], strings.Fields(text[m[2]:m[3]]), text[m[1]:]
		} else {
			text = ""
		}
		if strings.TrimSpace(before) != "" {
			const kept = "[ ! -e .variables ] || . ./.variables; set -a\n"
			out += r.command(at, b.status, "bash", "-euo", "pipefail", "-c", kept+r.here(before)+"\nexport -p >.variables\n")
		}
		if args != nil {
			r.url = e2etest.StartWith(r.t, e2etest.Config{Args: args, Dir: r.dir}).BaseURL
		}
	}
	return out
}

// here puts the server of the test in the place of the reader's.
func (r *reader) here(text string) string {
	return strings.NewReplacer("http://localhost:8080", r.url, "http://127.0.0.1:8080", r.url).Replace(text)
}

// command is what a program prints.
func (r *reader) command(at string, status int, name string, args ...string) string {
	cmd := exec.CommandContext(r.t.Context(), name, args...)
	cmd.Dir = r.dir
	cmd.Env = append(append(os.Environ(), e2etest.Installed()...),
		"PATH="+filepath.Join(r.dir, "bin")+":"+os.Getenv("PATH"),
		"PYTHONPATH="+e2etest.Repo(r.t, "clients", "python", "src"), "PYTHONDONTWRITEBYTECODE=1")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	_ = cmd.Run()
	if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != status {
		r.t.Errorf("%s: %v, want status %d:\n%s%s", at, cmd.ProcessState, status, out.String(), errs.String())
	}
	if status != 0 {
		return out.String() + errs.String()
	}
	return out.String()
}

func (r *reader) post(at, body string) string {
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.url+"/execute", strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatalf("%s: %v", at, err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatalf("%s: %v", at, err)
	}
	return string(text)
}

// pythonWithClient is where scripts/clients.sh installs what the client needs.
func (r *reader) pythonWithClient() string {
	cmd := exec.CommandContext(r.t.Context(), e2etest.Repo(r.t, "scripts", "clients.sh"), "--python")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		r.t.Fatalf("scripts/clients.sh: %v", err)
	}
	return strings.TrimSpace(string(out))
}
