package audit_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/python-code-executor/pyexec"
	"github.com/python-code-executor/pyexec/internal/audit"
)

const secret = "sEcReT"

type executor func() (pyexec.Result, error)

func (e executor) Execute(context.Context, pyexec.Request) (pyexec.Result, error) { return e() }

var req = pyexec.Request{
	ID: "the-id", Caller: "the-caller", Script: secret, Input: json.RawMessage(`"` + secret + `"`), Stdin: secret,
	Files: []pyexec.File{{Path: secret, Content: []byte(secret)}}, Env: map[string]string{"A": secret},
	Timeout: time.Second, Memory: 64 * pyexec.MiB,
}

func lines(t *testing.T, path string) []map[string]any {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), secret) {
		t.Errorf("the log has what a user wrote: %s", text)
	}
	var all []map[string]any
	for line := range bytes.Lines(text) {
		var one map[string]any
		if err := json.Unmarshal(line, &one); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		all = append(all, one)
	}
	return all
}

func TestEachRunIsALine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	var res pyexec.Result
	var err error
	log, failed := audit.Open(path, slog.New(slog.DiscardHandler))
	if failed != nil {
		t.Fatal(failed)
	}
	defer log.Close()
	runs := log.Record(executor(func() (pyexec.Result, error) { return res, err }))
	run := func(r pyexec.Result, e error) {
		res, err = r, e
		if _, got := runs.Execute(t.Context(), req); !errors.Is(got, e) {
			t.Errorf("the stage changed the error to %v", got)
		}
	}
	run(pyexec.Result{Value: json.RawMessage(`"` + secret + `"`), Stdout: secret, Timing: pyexec.Timing{Run: time.Millisecond}}, nil)
	run(pyexec.Result{Failure: &pyexec.Failure{Type: pyexec.Exception, Message: secret}, Timing: pyexec.Timing{Run: 1}}, nil)
	run(pyexec.Result{}, &pyexec.Error{Code: pyexec.CodeOverloaded, Message: secret})
	all := lines(t, path)
	if len(all) != 3 {
		t.Fatalf("%d lines: %v", len(all), all)
	}
	for i, want := range []struct {
		outcome string
		started bool
	}{{"ok", true}, {"exception", true}, {"overloaded", false}} {
		if all[i]["outcome"] != want.outcome || all[i]["started"] != want.started {
			t.Errorf("line %d is %v, want %+v", i, all[i], want)
		}
	}
	// printf sEcReT | sha256sum
	const hash = "4b9073df04274e6e196e4cd7725b1e48addb9c1758f2eff1a2ee25cc216c15e6"
	if all[0]["script_sha256"] != hash || all[0]["id"] != "the-id" || all[0]["caller"] != "the-caller" || all[0]["script_bytes"] != float64(len(secret)) {
		t.Errorf("%v", all[0])
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

// TestRotation: each line of many runs at once is whole, in the file that has
// the name then.
func TestRotation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	log, err := audit.Open(path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	runs := log.Record(executor(func() (pyexec.Result, error) { return pyexec.Result{}, nil }))
	many := func(n int) {
		var all sync.WaitGroup
		for range n {
			all.Go(func() { _, _ = runs.Execute(t.Context(), req) })
		}
		all.Wait()
	}
	many(50)
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	many(30)
	if a, b := len(lines(t, path+".1")), len(lines(t, path)); a != 50 || b != 30 {
		t.Errorf("%d and %d lines, want 50 and 30", a, b)
	}
}

// TestFullDisk: the run is answered, and the loss is counted and told.
func TestFullDisk(t *testing.T) {
	var said bytes.Buffer
	log, err := audit.Open("/dev/full", slog.New(slog.NewTextHandler(&said, nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	runs := log.Record(executor(func() (pyexec.Result, error) { return pyexec.Result{Stdout: "x"}, nil }))
	if res, err := runs.Execute(t.Context(), req); err != nil || res.Stdout != "x" {
		t.Errorf("%v, %v", res, err)
	}
	if log.Failed() != 1 || !strings.Contains(said.String(), "the-id") {
		t.Errorf("failed %d: %s", log.Failed(), said.String())
	}
	if _, err := audit.Open("/nowhere/audit.log", nil); err == nil {
		t.Error("a folder that is not there")
	}
}

// TestPipe: one that is read has the lines, as behind /dev/stdout; for the
// reader of another one neither a start nor a run waits.
func TestPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	pipe := func() {
		t.Helper()
		_ = os.Remove(path)
		if err := unix.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pipe()
	if _, err := audit.Open(path, nil); err == nil || !strings.Contains(err.Error(), "nobody reads") {
		t.Errorf("a pipe that nobody reads: %v", err)
	}
	reader, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	log, err := audit.Open(path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	runs := log.Record(executor(func() (pyexec.Result, error) { return pyexec.Result{Stdout: "x"}, nil }))
	if res, err := runs.Execute(t.Context(), req); err != nil || res.Stdout != "x" || log.Failed() != 0 {
		t.Errorf("%v, %v, failed %d", res, err, log.Failed())
	}
	line, err := bufio.NewReader(reader).ReadString('\n')
	if err != nil || !strings.Contains(line, "the-id") {
		t.Errorf("the reader got %q, %v", line, err)
	}
	pipe() // another one has the name now
	if res, err := runs.Execute(t.Context(), req); err != nil || res.Stdout != "x" || log.Failed() != 1 {
		t.Errorf("%v, %v, failed %d", res, err, log.Failed())
	}
}
