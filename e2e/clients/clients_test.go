// Package clients tests the clients in other languages than Go, against the
// real server.
package clients

import (
	"bytes"
	"os"
	"os/exec"
	"testing"

	"github.com/python-code-executor/pyexec/e2e/e2etest"
)

func TestMain(m *testing.M) { e2etest.Main(m) }

func TestPython(t *testing.T) {
	e2etest.RequireServer(t)
	server := e2etest.Start(t)
	cmd := exec.CommandContext(t.Context(), e2etest.Repo(t, "scripts", "clients.sh"))
	cmd.Env = append(os.Environ(), "PYEXEC_URL="+server.BaseURL)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	// It is not enough that nothing failed: the tests must have run.
	if !bytes.Contains(out, []byte("\nOK\n")) || bytes.Contains(out, []byte("Ran 0 tests")) {
		t.Errorf("no tests ran:\n%s", out)
	}
}
