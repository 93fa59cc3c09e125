package jail

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A checkout may lie below a directory that the sandbox's uid cannot enter:
// /root, or what a CI system makes for a job.
func TestCheckoutBelowAPrivateDirectory(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("not root: the sandbox's uid is the server's")
	}
	o := testOptions(t)
	private, err := os.MkdirTemp(filepath.Dir(filepath.Dir(o.NSJail)), "private-") // the same file system, for hard links
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(private) })
	root := filepath.Dir(filepath.Dir(o.NSJail))
	for _, name := range []string{"bin", "lib", "venv"} {
		if from := filepath.Join(root, name); exists(from) {
			if out, err := exec.Command("cp", "-al", from, private).CombinedOutput(); err != nil {
				t.Skipf("no copy by hard links: %v: %s", err, out)
			}
		}
	}
	if info, err := os.Stat(private); err != nil || info.Mode().Perm() != 0o700 {
		t.Fatalf("%v, %v", info.Mode(), err)
	}
	t.Setenv("TMPDIR", private)
	j := testJail(t, func(o *Options) {
		o.Python, o.NSJail = filepath.Join(private, "venv/bin/python3"), filepath.Join(private, "bin/nsjail")
		o.Require.Level = Full
	})
	for _, kind := range []Kind{Base, NumPy} {
		s := testSlot(t, j, kind)
		req := hello
		if kind == NumPy {
			req.Script = "import numpy\ndef main():\n    return int(numpy.arange(10).sum()) - 3\n"
		}
		if res, err := turn(t, s, req); err != nil || string(res.Value) != "42" {
			t.Errorf("%s: %s, %+v, %v", kind, res.Value, res.Failure, err)
		}
	}
}

func TestViewShowsNothingOfTheHost(t *testing.T) {
	o := testOptions(t)
	v, err := newView(o.Python, t.TempDir(), true)
	if err != nil {
		t.Fatal(err)
	}
	if v.Python != "/venv/bin/python3" || v.Runner != "/runner" {
		t.Errorf("python at %s, runner at %s", v.Python, v.Runner)
	}
	// These, and what is below them or made up.
	allowed := []string{"/usr/", "/lib/", "/lib64/", "/etc/ld.so.cache", "/etc/alternatives", "/venv", "/runner", "/dev/", filepath.Dir(filepath.Dir(realPath(t, o.Python)))}
	seen := map[string]bool{}
	for _, b := range v.Binds {
		if seen[b.To] {
			t.Errorf("%s is bound twice", b.To)
		}
		seen[b.To] = true
		if b.From != realPath(t, b.From) && !b.Device && !exists(b.From) {
			t.Errorf("%s is not there", b.From)
		}
		if !slices.ContainsFunc(allowed, func(p string) bool { return strings.HasPrefix(b.To, p) }) {
			t.Errorf("%s shows %s", b.To, b.From)
		}
		for _, no := range []string{"/etc/passwd", "/etc/shadow", "/etc", "/proc", "/sys", "/root", "/home", "/", "/usr", "/usr/bin", "/usr/lib", "/dev", "/tmp", "/var"} {
			if b.From == no || b.To == no {
				t.Errorf("%s is bound to %s", b.From, b.To)
			}
		}
	}
	for _, f := range v.Files {
		if seen[f.Path] {
			t.Errorf("%s is both bound and made up", f.Path)
		}
	}
	libc := slices.ContainsFunc(v.Binds, func(b Bind) bool { return strings.HasPrefix(filepath.Base(b.To), "libc.so") })
	if !libc {
		t.Error("no C library")
	}
	for _, path := range v.readable() {
		if strings.HasPrefix(path, "/dev/") {
			t.Errorf("device %s among the readable paths", path)
		}
	}
}

func realPath(t *testing.T, path string) string {
	t.Helper()
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		t.Fatal(err)
	}
	return real
}

func TestViewOfNoPython(t *testing.T) {
	for _, python := range []string{"/nowhere/python3", "/bin/true", "/etc/passwd"} {
		if v, err := newView(python, t.TempDir(), true); err == nil || !strings.Contains(err.Error(), "python") {
			t.Errorf("%s: %+v, %v", python, v, err)
		}
	}
}

// TestPythonOfItsOwnPrefix has an interpreter below a directory that only root
// may enter, called by a link, as pyenv's are; with nsjail and without.
func TestPythonOfItsOwnPrefix(t *testing.T) {
	own := realPath(t, testOptions(t).Python) // PREFIX/bin/python3.N
	version := filepath.Base(own)
	stdlib := filepath.Join(filepath.Dir(filepath.Dir(own)), "lib", version)
	prefix, err := os.MkdirTemp("/var/tmp", "python") // mode 0700; /tmp is the jail's own
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(prefix) })
	binary, err := os.ReadFile(own)
	if err != nil {
		t.Fatal(err)
	}
	python := filepath.Join(prefix, "bin", "python3")
	if err := errors.Join(
		os.MkdirAll(filepath.Join(prefix, "bin"), 0o755),
		os.MkdirAll(filepath.Join(prefix, "lib"), 0o755),
		os.WriteFile(filepath.Join(prefix, "bin", version), binary, 0o755),
		os.Symlink(version, python),
		os.Symlink(stdlib, filepath.Join(prefix, "lib", version)),
	); err != nil {
		t.Fatal(err)
	}
	for _, nsjail := range []string{testOptions(t).NSJail, ""} {
		t.Run("nsjail="+nsjail, func(t *testing.T) {
			j := testJail(t, func(o *Options) {
				o.Python, o.NSJail = python, nsjail
				o.Require.Level = Full
			})
			if res, err := turn(t, testSlot(t, j, Bare), hello); err != nil || string(res.Value) != "42" {
				t.Errorf("%s, %+v, %v", res.Value, res.Failure, err)
			}
		})
	}
}

func TestParseRequirement(t *testing.T) {
	for text, want := range map[string]Requirement{
		"":                       {Level: defaultRequirement},
		" , ,":                   {Level: defaultRequirement},
		"full":                   {Level: Full},
		"seccomp":                {Level: SeccompOnly},
		"cgroup":                 {Level: defaultRequirement, Layers: []string{"cgroup"}},
		"full,cgroup":            {Level: Full, Layers: []string{"cgroup"}},
		" cgroup , full,nsjail ": {Level: Full, Layers: []string{"cgroup", "nsjail"}},
		"landlock":               {Level: LandlockOnly}, // the level, which is more than the layer
	} {
		got, err := ParseRequirement(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q: %s", text, diff)
		}
		if again, err := ParseRequirement(got.String()); err != nil || cmp.Diff(got, again) != "" {
			t.Errorf("%q is written %q and read as %+v, %v", text, got, again, err)
		}
	}
	for _, text := range []string{"none", "FULL", "full;cgroup", "full cgroup"} {
		if r, err := ParseRequirement(text); err == nil || !strings.Contains(err.Error(), "levels: full") {
			t.Errorf("%q: %+v, %v", text, r, err)
		}
	}
	_, err := ParseRequirement("bogus,cgroup,foo")
	if err == nil || !strings.Contains(err.Error(), `"bogus", "foo"; levels`) {
		t.Errorf("%v does not name all that is unknown", err)
	}
	if _, err := ParseUnsafe([]string{"bogus", "landlock", "foo"}, ""); err == nil || !strings.Contains(err.Error(), `"bogus", "foo"; these can`) {
		t.Errorf("%v does not name all that is unknown", err)
	}
}

func TestLevelsAreOrdered(t *testing.T) {
	for i, high := range Levels {
		if _, ok := specFor(high); !ok {
			t.Errorf("%s is made of nothing", high)
		}
		for _, low := range Levels[i+1:] {
			if !high.Meets(low) || low.Meets(high) || !low.Meets(low) {
				t.Errorf("%s and %s", high, low)
			}
		}
	}
}

func specFor(l Level) (spec, bool) {
	i := slices.IndexFunc(specs, func(s spec) bool { return s.level == l })
	if i < 0 {
		return spec{}, false
	}
	return specs[i], true
}
