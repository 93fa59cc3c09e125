package e2etest

import (
	"os"
	"testing"
)

// Main is a TestMain for packages that start servers: it removes the binary
// that was built for them.
func Main(m *testing.M) {
	code := m.Run()
	Cleanup()
	os.Exit(code)
}

// RequireServer skips a test where there is no command to build yet, and
// fails it where CI=true.
func RequireServer(t testing.TB) {
	t.Helper()
	if os.Getenv("TEST_BINARY") != "" {
		return
	}
	if _, err := os.Stat(Repo(t, "cmd", "pyexec", "main.go")); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skipf("NOT TESTED: there is no server to start: %v", err)
	}
}
