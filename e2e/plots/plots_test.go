// Package plots tests runs that draw, with the environment that SETUP_PLOTS=1
// makes.
package plots

import (
	"bytes"
	"errors"
	"fmt"
	"image/png"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/python-code-executor/pyexec/client"
	"github.com/python-code-executor/pyexec/e2e/e2etest"
)

func TestMain(m *testing.M) { e2etest.Main(m) }

// environment is the variables that name it; it is made once.
func environment(t *testing.T) []string {
	t.Helper()
	e2etest.RequireServer(t)
	dir := e2etest.Repo(t, ".pyexec", "plots")
	if where := os.Getenv("SETUP_DIR"); where != "" {
		dir = where + "/plots"
	}
	var out []byte
	for range 3 { // an index that cannot be reached for a moment
		cmd := exec.CommandContext(t.Context(), e2etest.Repo(t, "scripts", "setup.sh"))
		cmd.Env = append(os.Environ(), "SETUP_PLOTS=1", "SETUP_DIR="+dir)
		var err error
		if out, err = cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v:\n%s", err, out)
		}
		if _, err := os.Stat(dir + "/venv/fonts"); err == nil {
			break
		}
		if err := os.RemoveAll(dir + "/venv"); err != nil { // Debian's, which has no matplotlib here
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(dir + "/venv/fonts"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("there is no matplotlib: %v\n%s", err, out)
		}
		t.Skipf("NOT TESTED: matplotlib could not be installed:\n%s", out)
	}
	return []string{"PYEXEC_PYTHON=" + dir + "/venv/bin/python3"}
}

const open = "import matplotlib.pyplot as plt\ndef figure(**more):\n    f, a = plt.subplots(**more)\n    a.plot([1, 3, 2], label='ü')\n    a.legend()\n    return f\n"

func TestPlots(t *testing.T) {
	env := environment(t)
	for _, level := range []string{"full", "landlock"} {
		t.Run(level, func(t *testing.T) {
			server := e2etest.StartWith(t, e2etest.Config{Env: env, Args: []string{"--unsafe-force-level=" + level}})
			c, err := client.New(server.BaseURL)
			if err != nil {
				t.Fatal(err)
			}
			cases(t, c)
		})
	}
}

func cases(t *testing.T, c *client.Client) {
	for name, x := range map[string]struct {
		script  string
		files   []string
		pixels  [2]int // of the first
		at      string // in stderr
		details bool
	}{
		"open": {
			open + "def main():\n    figure(figsize=(4, 3), dpi=100)\n    plt.show()\n    return plt.get_backend()",
			[]string{"output/figure-1.png"},
			[2]int{400, 300},
			"", true,
		},
		"closed": {open + "def main():\n    plt.close(figure())\n    return 1", nil, [2]int{}, "", true},
		"empty":  {open + "def main():\n    plt.figure()\n    return 1", nil, [2]int{}, "", true},
		"one of two is saved": {
			open + "import os\ndef main():\n    os.mkdir('output')\n    figure().savefig('output/mine.png')\n    figure()\n    return 1",
			[]string{"output/figure-2.png", "output/mine.png"},
			[2]int{640, 480},
			"", true,
		},
		"drawn, not saved": {
			open + "def main():\n    figure().canvas.draw()\n    return 1",
			[]string{"output/figure-1.png"},
			[2]int{640, 480},
			"", true,
		},
		"the name is taken": {
			open + "import os\ndef main():\n    os.mkdir('output')\n    open('output/figure-1.png', 'w').write('x')\n    figure()\n    return 1",
			[]string{"output/figure-1-2.png", "output/figure-1.png"},
			[2]int{640, 480},
			"", true,
		},
		"of pandas": {
			"import pandas as pd\ndef main():\n    pd.DataFrame({'a': [1, 2]}).plot()\n    return 1",
			[]string{"output/figure-1.png"},
			[2]int{640, 480},
			"", true,
		},
		"many": {
			open + "def main():\n    for _ in range(18): figure(figsize=(1, 1))\n    return 1",
			numbered(16),
			[2]int{100, 100},
			"", true,
		},
		"huge": {
			open + "def main():\n    figure(figsize=(100, 100))\n    return 1",
			[]string{"output/figure-1.png"},
			[2]int{4000, 4000},
			"", true,
		},
		"one that cannot be drawn": {
			open + "def main():\n    figure().suptitle(r'$\\nonsense$')\n    figure()\n    return 1",
			[]string{"output/figure-2.png"},
			[2]int{640, 480},
			"figure 1 could not be saved: ValueError", true,
		},
		"an output that is a file": {
			open + "def main():\n    open('output', 'w').close()\n    figure()\n    return 1",
			nil,
			[2]int{},
			"figure 1 could not be saved: FileExistsError", true,
		},
		"nobody asks": {open + "def main():\n    figure()\n    return 1", nil, [2]int{}, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			res, err := c.Execute(t.Context(), client.Request{Script: x.script, Details: x.details})
			if err != nil {
				var e *client.Error
				errors.As(err, &e)
				t.Fatalf("%v: %+v", err, e)
			}
			var names []string
			for _, f := range res.Files {
				names = append(names, f.Path)
				if f.MediaType != "image/png" {
					t.Errorf("%s has media type %q", f.Path, f.MediaType)
				}
			}
			slices.Sort(x.files)
			slices.Sort(names)
			if !slices.Equal(names, x.files) || !strings.Contains(res.Stderr, x.at) || x.at == "" && res.Stderr != "" {
				t.Fatalf("files %q, want %q; stderr %q, want %q", names, x.files, res.Stderr, x.at)
			}
			if len(res.Files) > 0 {
				image, err := png.Decode(bytes.NewReader(res.Files[0].Content))
				if err != nil || image.Bounds().Dx() != x.pixels[0] || image.Bounds().Dy() != x.pixels[1] {
					t.Errorf("%s: %v, want %v pixels", res.Files[0].Path, err, x.pixels)
				}
			}
			if name == "open" && string(res.Value) != `"agg"` && string(res.Value) != `"Agg"` {
				t.Errorf("the backend is %s", res.Value)
			}
		})
	}
	t.Run("saving counts as running", func(t *testing.T) {
		began := time.Now()
		_, err := c.Execute(t.Context(), client.Request{
			Script:  open + "def main():\n    f = figure()\n    f.savefig = lambda *a, **k: [None for _ in iter(int, 1)]\n    return 1",
			Details: true, Timeout: time.Second,
		})
		if !errors.Is(err, client.Timeout) || time.Since(began) > 5*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
	t.Run("health names it", func(t *testing.T) {
		text, err := c.Health(t.Context())
		if err != nil || !bytes.Contains(text, []byte(`"matplotlib":"3.`)) {
			t.Errorf("%s, %v", text, err)
		}
	})
	t.Run("a zygote has imported it", func(t *testing.T) {
		res, err := c.Execute(t.Context(), client.Request{Script: "import sys\nthere = 'matplotlib.font_manager' in sys.modules\nimport matplotlib\ndef main():\n    return there"})
		if err != nil || string(res.Value) != "true" {
			t.Errorf("%+v, %v", res, err)
		}
	})
}

func numbered(n int) []string {
	var names []string
	for i := range n {
		names = append(names, fmt.Sprintf("output/figure-%d.png", i+1))
	}
	return names
}
