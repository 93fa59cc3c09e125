package jail

import (
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
)

// View is all that a run can see of the host's file system: what Python needs
// and nothing else, read-only.
type View struct {
	Python   string     `json:"-"` // the interpreter's path inside the view
	Runner   string     `json:"-"` // the directory of pyexec_runner inside the view
	Binds    []Bind     `json:"binds"`
	Symlinks []Symlink  `json:"symlinks"`
	Files    []TextFile `json:"files"`
}

// Bind shows one file or directory of the host, without what is mounted below it.
type Bind struct {
	From   string `json:"from"`
	To     string `json:"to"`
	Device bool   `json:"device"` // may be written to
}

// Symlink is made in the view.
type Symlink struct {
	Target string `json:"target"`
	Path   string `json:"path"`
}

// TextFile is made up for the view: nothing of the host's own is in it.
type TextFile struct {
	Path string `json:"path"`
	Text string `json:"text"`
}

// Where the runner and the virtual environment stand in a view of its own.
const (
	runnerPath = "/runner"
	venvPath   = "/venv"
)

var devices = []string{"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"}

// newView works out what the interpreter at python needs. With remap the
// environment is shown at a fixed path; without, everything keeps its own.
func newView(python, runnerDir string, remap bool) (*View, error) {
	real, err := filepath.EvalSymlinks(python)
	if err != nil {
		return nil, fmt.Errorf("python: %w", err)
	}
	if _, err := elf.Open(real); err != nil { // a script that finds one, as pyenv's
		if python, err = askPython(real); err != nil {
			return nil, err
		}
		if real, err = filepath.EvalSymlinks(python); err != nil {
			return nil, fmt.Errorf("python: %w", err)
		}
	}
	version := pythonVersion(python, real)
	if version == "" {
		return nil, fmt.Errorf("python: %s has no version in its name; name it like python3.11, or use a virtual environment", real)
	}
	prefix := filepath.Dir(filepath.Dir(real))
	stdlib := filepath.Join(prefix, "lib", "python"+version)
	if _, err := os.Stat(filepath.Join(stdlib, "os.py")); err != nil {
		return nil, fmt.Errorf("python: no standard library at %s", stdlib)
	}
	v := &View{
		Python: python,
		Runner: runnerDir,
		Files: []TextFile{
			{"/etc/passwd", "sandbox:x:65534:65534:sandbox:/sandbox:/usr/sbin/nologin\n"},
			{"/etc/group", "sandbox:x:65534:\n"},
			{"/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n"},
			{"/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n"},
		},
		Symlinks: []Symlink{
			{"/proc/self/fd", "/dev/fd"},
			{"/proc/self/fd/0", "/dev/stdin"},
			{"/proc/self/fd/1", "/dev/stdout"},
			{"/proc/self/fd/2", "/dev/stderr"},
		},
	}
	v.bind(real, real)
	v.bind(stdlib, stdlib)
	roots := []string{stdlib}
	venv := filepath.Dir(filepath.Dir(python))
	if _, err := os.Stat(filepath.Join(venv, "pyvenv.cfg")); err == nil {
		to := venv
		if remap {
			to = venvPath
			v.Python = filepath.Join(to, "bin", filepath.Base(python))
		}
		v.bind(venv, to)
		v.linkChain(filepath.Join(venv, "bin"), python)
		roots = append(roots, venv)
	} else {
		v.Python = real
	}
	if dist := filepath.Join(prefix, "lib", "python3", "dist-packages"); exists(dist) && usesSystemPackages(venv) {
		v.bind(dist, dist)
		roots = append(roots, dist)
	}
	if remap {
		v.Runner = runnerPath
	}
	v.bind(runnerDir, v.Runner)
	for _, path := range []string{"/etc/ld.so.cache", "/etc/alternatives", "/usr/share/zoneinfo"} {
		if exists(path) {
			v.bind(path, path)
		}
	}
	for _, dev := range devices {
		v.Binds = append(v.Binds, Bind{From: dev, To: dev, Device: true})
	}
	for _, dir := range []string{"/bin", "/lib", "/lib64"} {
		if target, err := os.Readlink(dir); err == nil {
			v.Symlinks = append(v.Symlinks, Symlink{target, dir})
		}
	}
	return v, v.addLibraries(real, filepath.Join(prefix, "lib"), roots)
}

// systemCertificates is where Debian and Alpine keep what the operator trusts.
const systemCertificates = "/etc/ssl/certs/ca-certificates.crt"

// addCertificates shows the certificates of authorities, and returns where: the
// machine's, or those that certifi brings.
func (v *View) addCertificates() string {
	if from, err := filepath.EvalSymlinks(systemCertificates); err == nil {
		v.bind(from, systemCertificates)
		return systemCertificates
	}
	for _, b := range v.Binds {
		for _, below := range []string{"lib/python3*/site-packages", "."} {
			if found, _ := filepath.Glob(filepath.Join(b.From, below, "certifi", "cacert.pem")); len(found) > 0 {
				return b.To + strings.TrimPrefix(found[0], b.From)
			}
		}
	}
	return ""
}

// askPython is where the interpreter behind a command stands.
func askPython(command string) (string, error) {
	out, err := exec.Command(command, "-I", "-S", "-c", "import sys; print(sys.executable)").Output()
	if err != nil {
		return "", fmt.Errorf("python: ask %s where it is: %w", command, err)
	}
	return strings.TrimSpace(string(out)), nil
}

func (v *View) bind(from, to string) {
	for _, b := range v.Binds {
		if b.To == to || strings.HasPrefix(to, b.To+"/") && strings.HasPrefix(from, b.From+"/") {
			return
		}
	}
	v.Binds = append(v.Binds, Bind{From: from, To: to})
}

// linkChain repeats the symlinks that lead from path to the real interpreter,
// leaving out those that stand inside a directory that is bound anyway.
func (v *View) linkChain(inside, path string) {
	for range 10 {
		target, err := os.Readlink(path)
		if err != nil {
			return
		}
		if filepath.Dir(path) != inside {
			v.Symlinks = append(v.Symlinks, Symlink{target, path})
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(path), target)
		}
		path = target
	}
}

var (
	versionInName = regexp.MustCompile(`python(3\.\d+)$`)
	versionInCfg  = regexp.MustCompile(`(?m)^version(?:_info)?\s*=\s*(3\.\d+)`)
)

func pythonVersion(python, real string) string {
	if m := versionInName.FindStringSubmatch(real); m != nil {
		return m[1]
	}
	cfg, err := os.ReadFile(filepath.Join(filepath.Dir(filepath.Dir(python)), "pyvenv.cfg"))
	if err != nil {
		return ""
	}
	if m := versionInCfg.FindSubmatch(cfg); m != nil {
		return string(m[1])
	}
	return ""
}

func usesSystemPackages(venv string) bool {
	cfg, err := os.ReadFile(filepath.Join(venv, "pyvenv.cfg"))
	if err != nil {
		return true // no virtual environment: Debian's own packages
	}
	return regexp.MustCompile(`(?m)^include-system-site-packages\s*=\s*true`).Match(cfg)
}

// addLibraries binds the dynamic loader and every shared library that the
// interpreter, or an extension module below roots, names.
// Its own libraries, libpython itself, may stand in prefixLib.
func (v *View) addLibraries(python, prefixLib string, roots []string) error {
	dirs := append(libraryDirs(), prefixLib)
	seen := map[string]bool{}
	var add func(names []string)
	add = func(names []string) {
		for _, name := range names {
			if seen[name] {
				continue
			}
			seen[name] = true
			for _, dir := range dirs {
				from, err := filepath.EvalSymlinks(filepath.Join(dir, name))
				if err != nil {
					continue
				}
				v.bind(from, filepath.Join(dir, name))
				add(neededBy(from))
				break
			}
		}
	}
	loader, err := interpreterOf(python)
	if err != nil {
		return err
	}
	if loader != "" {
		from, err := filepath.EvalSymlinks(loader)
		if err != nil {
			return fmt.Errorf("dynamic loader: %w", err)
		}
		dir, err := filepath.EvalSymlinks(filepath.Dir(loader))
		if err != nil {
			return fmt.Errorf("dynamic loader: %w", err)
		}
		v.bind(from, filepath.Join(dir, filepath.Base(loader)))
	}
	add(neededBy(python))
	names, err := neededBelow(roots)
	if err != nil {
		return err
	}
	add(names)
	// Name lookups (pwd, grp, getaddrinfo of localhost) load this by name.
	for _, dir := range dirs {
		if from := filepath.Join(dir, "libnss_files.so.2"); exists(from) {
			v.bind(from, from)
		}
	}
	return nil
}

// neededBelow is what the extension modules below roots name, sorted. The first
// answer of the server waits for it, so that all of them are read at once.
func neededBelow(roots []string) ([]string, error) {
	var (
		mu     sync.Mutex
		names  []string
		failed error
		wg     sync.WaitGroup
	)
	read := func(path string) {
		found := neededBy(path)
		mu.Lock()
		defer mu.Unlock()
		names = append(names, found...)
	}
	walk := func(root string) error {
		root, err := filepath.EvalSymlinks(root) // WalkDir follows none
		if err != nil {
			return err
		}
		return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() && (d.Name() == "tests" || d.Name() == "__pycache__" || d.Name() == "test"):
				return filepath.SkipDir
			case d.Type().IsRegular() && strings.Contains(d.Name(), ".so"):
				wg.Go(func() { read(path) })
			}
			return nil
		})
	}
	for _, root := range roots {
		wg.Go(func() {
			err := walk(root)
			mu.Lock()
			defer mu.Unlock()
			failed = errors.Join(failed, err)
		})
	}
	wg.Wait()
	if failed != nil {
		return nil, fmt.Errorf("look for extension modules: %w", failed)
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

func neededBy(path string) []string {
	f, err := elf.Open(path)
	if err != nil {
		return nil // not ELF: a linker script, or a file that is merely named so
	}
	defer f.Close()
	names, err := f.ImportedLibraries()
	if err != nil {
		return nil
	}
	return names
}

func interpreterOf(path string) (string, error) {
	f, err := elf.Open(path)
	if err != nil {
		return "", fmt.Errorf("python: %w", err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			text := make([]byte, p.Filesz)
			if _, err := p.ReadAt(text, 0); err != nil {
				return "", fmt.Errorf("python: %w", err)
			}
			return strings.TrimRight(string(text), "\x00"), nil
		}
	}
	return "", nil
}

// libraryDirs are the directories that the dynamic loader searches, resolved.
func libraryDirs() []string {
	triple := map[string]string{"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}[runtime.GOARCH]
	candidates := []string{"/lib/" + triple, "/usr/lib/" + triple, "/lib64", "/usr/lib64", "/lib", "/usr/lib"}
	configs, _ := filepath.Glob("/etc/ld.so.conf.d/*.conf")
	for _, config := range configs {
		text, err := os.ReadFile(config)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			if line = strings.TrimSpace(line); strings.HasPrefix(line, "/") {
				candidates = append(candidates, line)
			}
		}
	}
	var dirs []string
	for _, dir := range candidates {
		real, err := filepath.EvalSymlinks(dir)
		if err == nil && !slices.Contains(dirs, real) {
			dirs = append(dirs, real)
		}
	}
	return dirs
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// readable is the list of paths that Landlock leaves readable where the host's
// own file system is in sight.
func (v *View) readable() []string {
	var paths []string
	for _, b := range v.Binds {
		if !b.Device {
			paths = append(paths, b.From)
		}
	}
	return paths
}
