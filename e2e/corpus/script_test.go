package corpus

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/python-code-executor/pyexec/e2e/e2etest"
)

const header = "# expect: ok|error:killed\n# property: [health][no-procs] a sentence\n# class: resource\n"

func TestParse(t *testing.T) {
	s, err := Parse("x", []byte("\ufeff"+header+"# -*- coding: utf-7 -*-\n# result: {\"a\": [1]}\n# stdout-exact: \"a\\n\"\n# needs: numpy, pandas\n"+
		"# arch: x86_64\n# open-at: landlock\n# parses: no\n# note: anything: goes\n\nx = 1 # result: no\n"))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(s.Expect, []string{"ok", "error:killed"}) || !slices.Equal(s.Tags, []string{"health", "no-procs"}) ||
		s.Property != "a sentence" || !s.HasResult || s.IfOK || *s.StdoutExact != "a\n" || !slices.Equal(s.Needs, []string{"numpy", "pandas"}) ||
		s.Arch != "amd64" || s.Parses || !slices.Equal(s.OpenAt, []string{"landlock"}) || !strings.HasPrefix(s.Source, "\ufeff") {
		t.Errorf("Parse = %+v", s)
	}
}

func TestParseRefuses(t *testing.T) {
	for _, text := range []string{
		"",
		"# expect: ok\n# class: data\n",
		"# expect: okay\n# property: [health] x\n# class: data\n",
		"# expect: error:nothing\n# property: [health] x\n# class: data\n",
		"# expect: ok\n# property: [healthy] x\n# class: data\n",
		"# expect: ok\n# property: [health]\n# class: data\n",
		"# expect: ok\n# property: [health] x\n# class: dada\n",
		header + "# result: {a: 1}\n",
		header + "# result: 1\n# result-if-ok: 1\n",
		header + "# result: 1\n# result: 1\n",
		header + "# stdout-exact: bare\n",
		header + "# needs: scipy\n",
		header + "# arch: m68k\n",
		header + "# open-at: moon\n",
		header + "# parses: maybe\n",
		header + "# pair: y\n",
		header + "# pair: y\n# pair-order: b first\n",
		header + "# expekt: ok\n",
		header + "\xff",
	} {
		if _, err := Parse("x", []byte(text)); err == nil {
			t.Errorf("Parse accepted %q", text)
		}
	}
}

func TestLoadChecksPairs(t *testing.T) {
	for name, files := range map[string]map[string]string{
		"missing":      {"a": header + "# pair: b\n# pair-order: " + Concurrent + "\n"},
		"other order":  {"a": header + "# pair: b\n# pair-order: " + Concurrent + "\n", "b": header + "# pair: a\n# pair-order: " + Both + "\n"},
		"other pair":   {"a": header + "# pair: b\n# pair-order: " + Concurrent + "\n", "b": header},
		"empty folder": {},
	} {
		if _, err := Load(folder(t, files)); err == nil {
			t.Errorf("Load accepted a folder with a pair that is: %s", name)
		}
	}
}

func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name+".py"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestOwnAndSharedCorpusAreUnderstood(t *testing.T) {
	for dir, least := range map[string]int{e2etest.Repo(t, "e2e", "hostile"): 100, e2etest.Shared(t, "hostile"): 275} {
		scripts, err := Load(dir)
		if err != nil {
			t.Error(err)
		}
		if len(scripts) < least {
			t.Errorf("%s holds %d scripts, want at least %d", dir, len(scripts), least)
		}
	}
}
