// Package apifuzz sends a real server what schemathesis makes of its OpenAPI
// document, and the malformed requests of the shared table, and looks at the
// server afterwards. make api-fuzz does it for two minutes.
package apifuzz

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/python-code-executor/pyexec/e2e/badrequests"
	"github.com/python-code-executor/pyexec/e2e/e2etest"
)

var duration = flag.Duration("for", 0, "how long to go on; 0 is one short round of schemathesis")

// growth is how much more memory the server may have at the end than after the
// first round: what a leak of a kilobyte a request would pass within minutes.
const growth = 32 << 20

func tool(t *testing.T) string {
	t.Helper()
	setup := os.Getenv("SETUP_DIR")
	if setup == "" {
		setup = e2etest.Repo(t, ".pyexec")
	}
	path := filepath.Join(setup, "tools/schemathesis/bin/schemathesis")
	if _, err := os.Stat(path); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skipf("NOT TESTED: %v: scripts/schemathesis.sh installs it", err)
	}
	return path
}

var passed = regexp.MustCompile(`(\d+) generated, (\d+) passed`)

// schemathesis runs one round and tells how many requests it sent.
func schemathesis(ctx context.Context, t *testing.T, url string, examples, seed int) int {
	t.Helper()
	cmd := exec.CommandContext(ctx, tool(t), "--config-file", e2etest.Repo(t, "e2e", "apifuzz", "schemathesis.toml"),
		"run", url+"/openapi.json", "--checks=all", "--workers=2", "--no-color",
		"--max-examples="+strconv.Itoa(examples), "--seed="+strconv.Itoa(seed))
	cmd.Dir = t.TempDir() // it keeps what it found
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return 0
	}
	counts := passed.FindStringSubmatch(string(out))
	if err != nil || counts == nil || counts[1] != counts[2] {
		t.Errorf("schemathesis with seed %d: %v\n%s", seed, err, out)
		return 0
	}
	n, _ := strconv.Atoi(counts[1])
	return n
}

// TestFuzz: nothing that schemathesis thinks of is answered otherwise than the
// document says, and neither that nor malformed requests leave a trace.
func TestFuzz(t *testing.T) {
	tool(t)
	// A pool of one size, so that what is left over shows.
	server := e2etest.Start(t, "--timeout=2s", "--concurrency=4", "--ready=4")
	before := server.Settle()
	rounds, requests, rows := 0, 0, 0
	began := time.Now()
	until := began.Add(*duration)
	examples, least := 25, 100
	if *duration > 0 {
		examples, least = 300, 500
	}
	var settled, last int64
	malformed := func() {
		if *duration > 0 { // stories has them otherwise
			rows++
			t.Run(fmt.Sprintf("rows/%d", rows), func(t *testing.T) {
				badrequests.Run(t, strings.TrimPrefix(server.BaseURL, "http://"), badrequests.Options{Python: true})
			})
		}
	}
	malformed()
	for seed := 1; rounds == 0 || time.Now().Before(until); seed++ {
		requests += schemathesis(t.Context(), t, server.BaseURL, examples, seed)
		rounds++
		if !time.Now().Before(until) {
			malformed()
		}
		last = e2etest.RSS(server.Pid)
		if settled == 0 {
			settled = last
		}
		t.Logf("after %v: %d requests of schemathesis, %d times all rows, the server has %d MB",
			time.Since(began).Round(time.Second), requests, rows, last>>20)
		if t.Failed() {
			break
		}
	}
	if requests < least {
		t.Errorf("only %d requests were sent", requests)
	}
	if last > settled+growth {
		t.Errorf("the server grew from %d to %d MB", settled>>20, last>>20)
	}
	server.AssertClean(t, before)
	if err := server.Stop(); err != nil {
		t.Error(err)
	}
}

// TestFuzzFinds: a document that promises what the server does not do is
// found out.
func TestFuzzFinds(t *testing.T) {
	path := tool(t)
	server := e2etest.Start(t)
	file := filepath.Join(t.TempDir(), "openapi.json")
	document := `{"openapi":"3.1.0","info":{"title":"t","version":"1"},"paths":{"/livez":{"get":{"responses":{"200":{"description":"d",
		"content":{"application/json":{"schema":{"type":"object","required":["promised"]}}}}}}}}}`
	if err := os.WriteFile(file, []byte(document), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), path, "run", file, "--url", server.BaseURL, "--checks=all", "--no-color", "--max-examples=5")
	cmd.Dir = t.TempDir()
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(string(out), "promised") {
		t.Errorf("%v\n%s", err, out)
	}
}
