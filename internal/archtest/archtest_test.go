// Package archtest holds which of our packages may import which, each edge
// with its reason. It fails on an edge that is not listed, and on a listed one
// that nobody uses any more.
package archtest

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/python-code-executor/pyexec"

// edges are the allowed imports of the product. The vocabulary, which is the
// root package, imports nothing of ours and may be imported by all.
var edges = map[string]map[string]string{
	"cmd/pyexec": {
		"client":          "calls a server, of which the one that run starts is only nearer than others",
		"internal/auth":   "makes, lists and revokes API keys",
		"internal/app":    "serves, and asks it what doctor prints",
		"internal/config": "reads the configuration before anything starts",
		"internal/load":   "measures a server that is already there",
		"internal/jail":   "becomes a zygote's launcher when it is started as one; tells a refusal from a failure",
	},
	"internal/app": {
		"internal/admission":  "the only package that knows all others",
		"internal/auth":       "the only package that knows all others",
		"internal/audit":      "the only package that knows all others",
		"internal/config":     "the only package that knows all others",
		"internal/egress":     "the only package that knows all others",
		"internal/httpapi":    "the only package that knows all others",
		"internal/jail":       "the only package that knows all others",
		"internal/metrics":    "the only package that knows all others",
		"internal/playground": "the only package that knows all others",
		"internal/pool":       "the only package that knows all others",
		"internal/quota":      "the only package that knows all others",
		"internal/tracing":    "the only package that knows all others",
	},
	"internal/auth": {
		"internal/config": "sizes in the keys file are spelled as in settings",
	},
	"internal/httpapi": {
		"internal/openapi": "the document of the API, which it serves",
	},
	"internal/jail": {
		"internal/cgroup":  "memory and process limits of slots",
		"internal/seccomp": "filters of slots and children",
		"internal/wire":    "frames of its children",
		"runner":           "what it writes for the zygote to run",
	},
}

// knowsNothing are packages that what tests the whole may use besides its own:
// they know the server through HTTP alone, or not at all.
var knowsNothing = []string{"client", "internal/load"}

func TestImports(t *testing.T) {
	used := map[string]bool{}
	for pkg, imports := range imports(t) {
		for _, to := range imports {
			if to == "" { // the vocabulary
				continue
			}
			used[pkg+" "+to] = true
			switch {
			case strings.HasPrefix(pkg, "e2e"):
				if !strings.HasPrefix(to, "e2e") && !slices.Contains(knowsNothing, to) {
					t.Errorf("%s imports %s: what tests the whole knows it through HTTP alone", pkg, to)
				}
			case edges[pkg][to] == "":
				t.Errorf("%s imports %s: not among the edges; list it with its reason, or turn it around", pkg, to)
			}
		}
	}
	for _, from := range slices.Sorted(maps.Keys(edges)) {
		for to := range edges[from] {
			if !used[from+" "+to] {
				t.Errorf("nothing in %s imports %s any more: take the edge off the list", from, to)
			}
		}
	}
}

func TestTheVocabularyImportsNothing(t *testing.T) {
	if got := imports(t)[""]; len(got) > 0 {
		t.Errorf("the root package imports %v", got)
	}
}

// imports lists our own imports of each of our packages, tests left out; the
// root package is "".
func imports(t *testing.T) map[string][]string {
	t.Helper()
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Imports", module+"/...")
	cmd.Env = append(os.Environ(), "GOOS=linux")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	found := map[string][]string{}
	for d := json.NewDecoder(out); ; {
		var p struct {
			ImportPath string
			Imports    []string
		}
		err := d.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		ours := []string{}
		for _, i := range p.Imports {
			if to, ok := local(i); ok {
				ours = append(ours, to)
			}
		}
		from, _ := local(p.ImportPath)
		found[from] = ours
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if len(found) < 10 {
		t.Fatalf("only %d packages were listed", len(found))
	}
	return found
}

func local(path string) (string, bool) {
	rest, ok := strings.CutPrefix(path, module)
	return strings.TrimPrefix(rest, "/"), ok
}
