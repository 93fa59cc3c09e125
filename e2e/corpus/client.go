package corpus

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sort"
	"strings"
	"sync/atomic"
	"time"

	"github.com/python-code-executor/pyexec/e2e/e2etest/strictjson"
)

const (
	answerCap      = 32 << 20 // 6 × 1 MiB + 8 MiB is the most a contract-abiding answer needs
	answerPatience = 60 * time.Second
)

// plainScript stands in where the folder has no tenant_next_run_plain.py.
const plainScript = `# expect: ok
# property: [next-run] a plain script answers exactly right
# class: tenant-isolation
# result: {"sum": 45, "pi": 3.142, "json": {"a": [1, 2]}, "tmp": ["plain"], "args": 1}
# stdout-exact: "plain\n"

import json, math, os, sys, tempfile


def main():
    print("plain")
    open(os.path.join(tempfile.gettempdir(), "plain"), "w").close()
    return {"sum": sum(range(10)), "pi": round(math.pi, 3), "json": json.loads(json.dumps({"a": [1, 2]})), "tmp": os.listdir(tempfile.gettempdir()), "args": len(sys.argv)}
`

type client struct {
	url   string
	http  *http.Client
	plain *Script
	marks atomic.Int64
}

func newClient(baseURL string, scripts []*Script, through http.RoundTripper) (*client, error) {
	c := &client{url: baseURL, http: &http.Client{Timeout: answerPatience, Transport: through}}
	for _, s := range scripts {
		if s.Name == "tenant_next_run_plain" {
			c.plain = s
		}
	}
	if c.plain == nil {
		var err error
		if c.plain, err = Parse("tenant_next_run_plain", []byte(plainScript)); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// run posts one script. What a script leaves in its output folder is collected
// only with details, so one that goes for that gets them.
func (c *client) run(s *Script, timeout time.Duration, details bool) *Answer {
	request := map[string]any{"script": s.Source}
	details = details || strings.Contains(s.Source, "output/")
	if details {
		request["details"] = true
	}
	if timeout > 0 {
		request["timeout_ms"] = timeout.Milliseconds()
	}
	a := c.post(request)
	a.Timeout, a.Details = timeout, details
	return a
}

func (c *client) post(request map[string]any) *Answer {
	body, err := json.Marshal(request)
	if err != nil {
		return &Answer{Err: err}
	}
	start := time.Now()
	resp, err := c.http.Post(c.url+"/execute", "application/json", bytes.NewReader(body))
	if err != nil {
		return &Answer{Err: err, Elapsed: time.Since(start)}
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, answerCap+1))
	a := &Answer{Status: resp.StatusCode, Header: resp.Header, Body: text, Elapsed: time.Since(start), Err: err}
	if len(text) > answerCap {
		a.Err = fmt.Errorf("the answer is larger than %d bytes", answerCap)
	}
	a.read()
	return a
}

// runPlain runs the plain script as another tenant, whose mark no other run
// may see, and says what is wrong with its answer.
func (c *client) runPlain() (time.Duration, []string) {
	mark := fmt.Sprintf("%s%d-%s", tenantMark, c.marks.Add(1), random())
	a := c.post(map[string]any{"script": c.plain.Source, "stdin": mark, "env": map[string]string{"CORPUS_TENANT": mark}})
	v := Judge(c.plain, a, Mode{Policy: "off"})
	for i := range v.Failures {
		v.Failures[i] = fmt.Sprintf("plain run: %s: %s", v.Failures[i], a)
	}
	return a.Elapsed, v.Failures
}

// usualPlain is the median time of a plain run on an idle server.
func (c *client) usualPlain() (time.Duration, []string) {
	const times = 7
	var took []time.Duration
	for range times {
		d, failures := c.runPlain()
		if failures != nil {
			return 0, failures
		}
		took = append(took, d)
	}
	return median(took), nil
}

func median(d []time.Duration) time.Duration {
	if len(d) == 0 {
		return 0
	}
	sort.Slice(d, func(i, j int) bool { return d[i] < d[j] })
	return d[len(d)/2]
}

// health is what /health says of itself.
type health struct {
	Packages map[string]string
	Level    string
}

func (c *client) health(ctx context.Context) (health, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url+"/health", nil)
	if err != nil {
		return health{}, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return health{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return health{}, err
	}
	if resp.StatusCode != http.StatusOK {
		return health{}, fmt.Errorf("/health: status %d: %s", resp.StatusCode, strictjson.Cut(string(text), 500))
	}
	var h struct {
		Packages  map[string]any
		Isolation struct{ Level string }
	}
	if err := json.Unmarshal(text, &h); err != nil {
		return health{}, fmt.Errorf("/health: %w", err)
	}
	found := health{Packages: map[string]string{}, Level: h.Isolation.Level}
	for name, version := range h.Packages {
		if text, ok := version.(string); ok && text != "" {
			found.Packages[name] = text
		}
	}
	return found, nil
}
