package corpus

import (
	"testing"
	"time"

	"github.com/python-code-executor/pyexec/e2e/e2etest"
)

func TestMain(m *testing.M) { e2etest.Main(m) }

// TestServer runs both corpora through the real server as make test does:
// policy off, so that no refusal hides an escape, eight at a time, with short
// time limits.
func TestServer(t *testing.T) {
	e2etest.RequireServer(t)
	canaries, err := NewCanaries()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(canaries.Close)
	server := e2etest.StartWith(t, e2etest.Config{
		Args: []string{"--policy=off"},
		Env:  []string{"CORPUS_CANARY_SECRET=" + canaries.Secret},
	})
	before := server.Settle()
	for name, dir := range map[string]func(*testing.T) string{
		"own":    func(t *testing.T) string { return e2etest.Repo(t, "e2e", "hostile") },
		"shared": func(t *testing.T) string { return e2etest.Shared(t, "hostile") },
	} {
		t.Run(name, func(t *testing.T) {
			Test(t, server.BaseURL, Options{
				Dir: dir(t), Policy: "off", Timeout: 1500 * time.Millisecond, Slack: time.Second,
				Canaries: canaries, Pid: server.Pid,
				Leftovers: func() error { return server.Leftovers(before) },
			})
		})
	}
}
