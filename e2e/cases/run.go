package cases

import (
	"bytes"
	"flag"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/python-code-executor/pyexec/e2e/contract"
)

const (
	// floor is how many cases the shared folder holds at least. A run that
	// executed fewer has lost some and fails.
	floor = 494

	// slowAtOnce is how many of the cases named limits/... run at the same
	// time: most of them wait for the server's own time limit.
	slowAtOnce = 4

	patience = 60 * time.Second
)

// Run checks every shared case against the server at baseURL. Cases of one
// file run in its order, those named limits/... a few at a time; files run
// side by side.
func Run(t *testing.T, baseURL string) {
	t.Helper()
	dir, err := Dir()
	if err == nil {
		_, err = os.Stat(dir)
	}
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("the shared cases are missing: %v", err)
		}
		t.Skipf("NOT TESTED: the shared cases are missing: %v; SHARED_DIR may name the folder", err)
	}
	runDir(t, baseURL, dir, floor, contract.Transport{})
}

func runDir(t *testing.T, baseURL, dir string, floor int, through http.RoundTripper) {
	t.Helper()
	files, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	var executed atomic.Int64
	t.Run("files", func(t *testing.T) {
		for _, file := range files {
			t.Run(file.Name, func(t *testing.T) {
				t.Parallel()
				runFile(t, baseURL, file, &executed, through)
			})
		}
	})
	t.Logf("executed %d cases of %s", executed.Load(), filepath.Clean(dir))
	if n := int(executed.Load()); n < floor && !filtered() {
		t.Errorf("executed %d cases; the folder holds %d", n, floor)
	}
}

// filtered says whether go test -run names some subtests only.
func filtered() bool {
	run := flag.Lookup("test.run")
	return run != nil && strings.Contains(run.Value.String(), "/")
}

func runFile(t *testing.T, baseURL string, file File, executed *atomic.Int64, through http.RoundTripper) {
	slow := make(chan struct{}, slowAtOnce)
	client := &http.Client{
		Timeout:       patience,
		Transport:     through,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	for _, c := range file.Cases {
		t.Run(c.ID, func(t *testing.T) {
			if strings.HasPrefix(c.ID, "limits/") {
				t.Parallel()
				slow <- struct{}{}
				defer func() { <-slow }()
			}
			executed.Add(1)
			runCase(t, client, baseURL, c)
		})
	}
}

func runCase(t *testing.T, client *http.Client, baseURL string, c Case) {
	answer, err := send(client, baseURL, c)
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	for _, found := range c.CheckNice(answer) {
		t.Logf("nice to have: %s", found)
	}
	for _, found := range c.Check(answer) {
		t.Error(found)
	}
	if t.Failed() && c.Note != "" {
		t.Logf("note: %s", c.Note)
	}
}

func send(client *http.Client, baseURL string, c Case) (Answer, error) {
	body, err := c.body()
	if err != nil {
		return Answer{}, err
	}
	method, path := http.MethodPost, "/execute"
	if c.Request != nil && c.Request.Method != "" {
		method = c.Request.Method
	}
	if c.Request != nil && c.Request.Path != "" {
		path = c.Request.Path
	}
	req, err := http.NewRequest(method, strings.TrimSuffix(baseURL, "/")+path, bytes.NewReader(body))
	if err != nil {
		return Answer{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	if c.Request != nil {
		for name, value := range c.Request.Headers {
			req.Header.Set(name, value)
		}
	}
	start := time.Now()
	resp, err := client.Do(req)
	if err != nil {
		return Answer{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return Answer{}, err
	}
	return NewAnswer(resp.StatusCode, text, time.Since(start)), nil
}
