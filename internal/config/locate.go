package config

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// minPython is the oldest minor version of Python 3 that the runner supports.
const minPython = 11

// locate makes Python and Nsjail absolute paths of files that can be run.
func (c *Config) locate(executable, path string) error {
	root := filepath.Dir(filepath.Dir(executable)) // of bin/pyexec
	var errs []error
	if c.Python == "" {
		c.Python = firstOf(filepath.Join(root, ".pyexec/venv/bin/python3"), "python3", path)
	}
	if c.Python == "" {
		errs = append(errs, errors.New("python: there is none; run make setup or give --python"))
	} else if err := runnable("python", &c.Python); err != nil {
		errs = append(errs, err)
	} else {
		errs = append(errs, pythonVersion(c.Python))
	}
	switch c.Nsjail {
	case "none":
		c.Nsjail = ""
	case "":
		c.Nsjail = firstOf(filepath.Join(root, ".pyexec/bin/nsjail"), "nsjail", path)
	default:
		errs = append(errs, runnable("nsjail", &c.Nsjail))
	}
	return errors.Join(errs...)
}

// firstOf is file if it can be run, else name in path, else "".
func firstOf(file, name, path string) string {
	if runnable("", &file) == nil {
		return file
	}
	for _, dir := range filepath.SplitList(path) {
		file := filepath.Join(dir, name)
		if filepath.IsAbs(file) && runnable("", &file) == nil {
			return file
		}
	}
	return ""
}

// runnable makes *file absolute if it is a file that can be run.
func runnable(setting string, file *string) error {
	abs, err := filepath.Abs(*file)
	if err != nil {
		return fmt.Errorf("%s: %w", setting, err)
	}
	info, err := os.Stat(abs)
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", setting, err)
	case info.IsDir() || info.Mode()&0o111 == 0:
		return fmt.Errorf("%s: %s is not an executable file", setting, abs)
	}
	*file = abs
	return nil
}

// versionOf finds the version that a virtual environment says it has, without
// the time that asking the interpreter takes.
var versionOf = regexp.MustCompile(`(?m)^version(?:_info)?\s*=\s*(\d+)\.(\d+)`)

func pythonVersion(python string) error {
	cfg, err := os.ReadFile(filepath.Join(filepath.Dir(filepath.Dir(python)), "pyvenv.cfg"))
	if m := versionOf.FindSubmatch(cfg); err == nil && m != nil {
		if minor, err := strconv.Atoi(string(m[2])); err == nil && string(m[1]) == "3" && minor >= minPython {
			return nil
		}
	}
	out, err := exec.Command(python, "-I", "-S", "-c", "import sys; print(*sys.version_info[:2])").Output()
	if err != nil {
		return fmt.Errorf("python: ask %s for its version: %w", python, err)
	}
	var major, minor int
	if _, err := fmt.Sscan(strings.TrimSpace(string(out)), &major, &minor); err != nil || major != 3 || minor < minPython {
		return fmt.Errorf("python: %s is version %q, not 3.%d or later", python, strings.TrimSpace(string(out)), minPython)
	}
	return nil
}
