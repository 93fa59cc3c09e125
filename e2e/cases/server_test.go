package cases

import (
	"testing"

	"github.com/python-code-executor/pyexec/e2e/e2etest"
)

func TestMain(m *testing.M) { e2etest.Main(m) }

// TestServer holds the real server to every shared case, and to leaving
// nothing of them behind.
func TestServer(t *testing.T) {
	e2etest.RequireServer(t)
	server := e2etest.Start(t)
	before := server.Settle()
	Run(t, server.BaseURL)
	server.AssertClean(t, before)
}
