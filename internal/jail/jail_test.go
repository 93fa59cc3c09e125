package jail_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	pyexec "github.com/python-code-executor/pyexec"
	"github.com/python-code-executor/pyexec/internal/jail"
)

func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == jail.LaunchCommand {
		fmt.Fprintln(os.Stderr, jail.Launch(os.Args[2]))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func start(t testing.TB) *jail.Jail {
	t.Helper()
	root, err := filepath.Abs("../../.pyexec")
	if err != nil {
		t.Fatal(err)
	}
	j, err := jail.Start(t.Context(), jail.Options{
		Python: filepath.Join(root, "venv/bin/python3"), NSJail: filepath.Join(root, "bin/nsjail"),
		UID: 64646, Policy: "standard", Limits: pyexec.DefaultLimits(),
		Require:      jail.Requirement{Level: jail.LandlockOnly},
		SpawnTimeout: 10 * time.Second, ImportTimeout: time.Minute, MaxRuns: 10000, MaxAge: time.Hour,
		Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(j.Close)
	return j
}

func TestHello(t *testing.T) {
	j := start(t)
	t.Logf("%+v", j.Isolation())
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	s, err := j.Slot(ctx, jail.Base)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for range 3 {
		began := time.Now()
		if err := s.Prepare(ctx); err != nil {
			t.Fatal(err)
		}
		prepared := time.Now()
		res, err := s.Run(ctx, pyexec.Request{Script: "def main():\n    print('x')\n    return {'message': 'Hello World'}", Timeout: 5 * time.Second, Memory: 512 * pyexec.MiB, Details: true})
		if err != nil {
			t.Fatal(err)
		}
		ran := time.Now()
		if err := s.Settle(ctx); err != nil {
			t.Fatal(err)
		}
		t.Logf("%s %+v %s %v %v; prepare %v run %v settle %v", res.Value, res.Failure, res.Stdout, res.Stderr, res.Usage, prepared.Sub(began), ran.Sub(prepared), time.Since(ran))
	}
}
