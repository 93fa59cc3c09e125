package seccomp_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/python-code-executor/pyexec/internal/seccomp"
)

// python is the interpreter that children use, else the system's own.
func python(t *testing.T) string {
	t.Helper()
	for _, p := range []string{"../../.pyexec/venv/bin/python3", "/usr/bin/python3"} {
		if _, err := os.Stat(p); err == nil {
			return p
		}
	}
	missing(t, "no python3")
	return ""
}

// missing skips on a developer's machine and fails in CI, where a filter that
// was not tried counts as one that does not work.
func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") != "" || os.Getenv("PYEXEC_REQUIRE_JAIL") != "" {
		t.Fatal(what)
	}
	t.Skip(what)
}

func program(t *testing.T, v seccomp.Variant) []byte {
	t.Helper()
	p, err := seccomp.Compile(v)
	if err != nil {
		t.Fatal(err)
	}
	return p.Bytes()
}

// under runs a script of testdata with a filter, or with none, and returns the
// JSON of its main().
func under(t *testing.T, filter []byte, args ...string) (string, error) {
	t.Helper()
	cmd := exec.Command(python(t), append([]string{"-I", "testdata/install.py"}, args...)...)
	cmd.Stdin = bytes.NewReader(filter)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // one of the tries signals its own group
	err := cmd.Run()
	_, result, ok := strings.Cut(stdout.String(), "RESULT ")
	if err == nil && !ok {
		err = errors.New("no result")
	}
	if err != nil {
		t.Logf("%v: %s", args, stderr.String())
	}
	return strings.TrimSpace(result), err
}

func TestCanariesWorkUnderTheFilter(t *testing.T) {
	scripts, err := filepath.Glob("testdata/canaries/*.py")
	if err != nil || len(scripts) < 5 {
		t.Fatal(len(scripts), err)
	}
	for _, script := range scripts {
		t.Run(filepath.Base(script), func(t *testing.T) {
			t.Parallel()
			if strings.Contains(script, "numpy") && exec.Command(python(t), "-c", "import numpy, pandas").Run() != nil {
				missing(t, "numpy and pandas cannot be imported")
			}
			want, err := os.ReadFile(strings.TrimSuffix(script, ".py") + ".want")
			if err != nil {
				t.Fatal(err)
			}
			for name, filter := range map[string][]byte{"no filter": nil, "child": program(t, seccomp.Child), "child+egress": program(t, seccomp.ChildEgress)} {
				if got, err := under(t, filter, script); err != nil || got != strings.TrimSpace(string(want)) {
					t.Errorf("%s: %v\n got %s\nwant %s", name, err, got, want)
				}
			}
			if strings.Contains(script, "asyncio") {
				return // has a unix server, which pairs do not give
			}
			if got, err := under(t, program(t, seccomp.ChildPairs), script); err != nil || got != strings.TrimSpace(string(want)) {
				t.Errorf("child+pairs: %v\n got %s\nwant %s", err, got, want)
			}
		})
	}
}

// Each try works without the filter and fails with it: so it is the filter
// that refuses, and the test would notice if it did not.
func TestDeniedOperationsAndTheirTwins(t *testing.T) {
	decode := func(text string, err error) map[string]string {
		out := map[string]string{}
		if err == nil {
			err = json.Unmarshal([]byte(text), &out)
		}
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	twin := decode(under(t, nil, "testdata/denied.py"))
	want := map[string]string{}
	for name, got := range twin {
		// Neither a lease to give up nor a directory to put a device in is there.
		harmless := map[string]string{"lease": "EAGAIN", "device node": "ENOENT"}
		if got != "ok" && got != harmless[name] {
			t.Errorf("without a filter, %s: %s", name, got)
		}
		want[name] = "EPERM"
	}
	want["clone3"] = "ENOSYS"
	if len(want) < 40 {
		t.Errorf("%d tries", len(want))
	}
	if diff := cmp.Diff(want, decode(under(t, program(t, seccomp.Child), "testdata/denied.py"))); diff != "" {
		t.Errorf("with the filter (-want +got):\n%s", diff)
	}
	want["socket inet"], want["socket inet6"] = "ok", "ok"
	if diff := cmp.Diff(want, decode(under(t, program(t, seccomp.ChildEgress), "testdata/denied.py"))); diff != "" {
		t.Errorf("with the egress filter (-want +got):\n%s", diff)
	}
}

func TestAbortUnderTheFilterIsSIGABRT(t *testing.T) {
	_, err := under(t, program(t, seccomp.Child), "testdata/abort.py")
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGABRT {
		t.Error(err)
	}
}

func TestChildUnderTheSlotsFilter(t *testing.T) {
	second := filepath.Join(t.TempDir(), "child.bpf")
	if err := os.WriteFile(second, program(t, seccomp.Child), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := under(t, program(t, seccomp.Slot), "testdata/slot.py", second)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"child": 7, "exec": "EPERM", "netlink": "EPERM", "kill child's group": "ok"}`; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}
