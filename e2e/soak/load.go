package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/python-code-executor/pyexec/e2e/e2etest"
)

// load is the runs of one soak and what came of them.
type load struct {
	server  *e2etest.Server
	o       options
	scripts []string
	client  *http.Client
	next    atomic.Int64
	kills   int

	mu     sync.Mutex
	counts map[string]int
	plain  []time.Duration
	health []time.Duration
	killed time.Time
	faults []string
}

// hostileScripts are those of a folder that end soon by themselves: what waits
// for a limit would only make the soak longer.
func hostileScripts(dir string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.py"))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("no scripts in %s: %w", dir, err)
	}
	var scripts []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		scripts = append(scripts, string(text))
	}
	return scripts, nil
}

func newLoad(server *e2etest.Server, o options, scripts []string) *load {
	return &load{
		server: server, o: o, scripts: scripts, counts: map[string]int{},
		client: &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 2 * o.clients}},
	}
}

func (l *load) fault(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.faults) < 100 {
		l.faults = append(l.faults, fmt.Sprintf(format, args...))
	}
}

// run sends all runs and returns when each has its answer.
func (l *load) run(ctx context.Context) {
	around, stop := context.WithCancel(ctx)
	var beside sync.WaitGroup
	beside.Go(func() { l.probe(around) })
	beside.Go(func() { l.kill(around) })
	var clients sync.WaitGroup
	for range l.o.clients {
		clients.Go(func() {
			for ctx.Err() == nil {
				n := int(l.next.Add(1))
				if n > l.o.runs {
					return
				}
				l.one(n)
			}
		})
	}
	clients.Wait()
	stop()
	beside.Wait()
	l.client.CloseIdleConnections()
}

type reply struct {
	Result json.RawMessage `json:"result"`
	Stdout *string         `json:"stdout"`
	Error  *struct {
		Type    string `json:"type"`
		Started *bool  `json:"started"`
	} `json:"error"`
}

// one is run number n: each tenth is hostile, each twentieth uses pandas.
func (l *load) one(n int) {
	hostile := n%10 == 0
	script := fmt.Sprintf("def main():\n    print('run %d')\n    return {'n': %d, 'twice': %d * 2}\n", n, n, n)
	switch {
	case hostile:
		script = l.scripts[rand.IntN(len(l.scripts))]
	case n%20 == 1:
		script = fmt.Sprintf("import pandas as pd\ndef main():\n    print('run %d')\n    return {'n': %d, 'twice': int(pd.Series([%d, %d]).sum())}\n", n, n, n, n)
	}
	body, _ := json.Marshal(map[string]any{"script": script, "timeout_ms": 1000}) //nolint:errchkjson // strings
	if !hostile {
		body, _ = json.Marshal(map[string]any{"script": script}) //nolint:errchkjson // strings
	}
	began := time.Now()
	res, err := l.client.Post(l.server.BaseURL+"/execute", "application/json", bytes.NewReader(body))
	if err != nil {
		l.fault("run without an answer: %v", err)
		return
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	took := time.Since(began)
	var got reply
	if err == nil {
		err = json.Unmarshal(text, &got)
	}
	kind := "result"
	switch {
	case err != nil:
		l.fault("an answer that cannot be read: %v: %.200s", err, text)
		return
	case got.Error != nil:
		kind = got.Error.Type
	}
	l.count(kind, hostile, took)
	lost := kind == "unavailable" && got.Error.Started != nil && *got.Error.Started
	switch {
	case res.StatusCode == http.StatusInternalServerError:
		l.fault("500: %.200s", text)
	case lost && !l.nearKill():
		l.fault("a run was lost although nothing was killed")
	case hostile, lost:
	case kind != "result":
		l.fault("a plain run ended in %d %.200s", res.StatusCode, text)
	case string(got.Result) != fmt.Sprintf(`{"n":%d,"twice":%d}`, n, 2*n) || got.Stdout == nil || *got.Stdout != fmt.Sprintf("run %d\n", n):
		l.fault("run %d has another's answer: %.200s", n, text)
	}
}

func (l *load) count(kind string, hostile bool, took time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if hostile {
		l.counts["hostile: "+kind]++
		return
	}
	l.counts["plain: "+kind]++
	l.plain = append(l.plain, took)
}

func (l *load) answers() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, count := range l.counts {
		n += count
	}
	return n
}

// killTime is how long after a kill runs may be lost and /health be late.
const killTime = 3 * time.Second

func (l *load) nearKill() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Since(l.killed) < killTime
}

// kill ends the root zygote, which takes all others along, at random times.
func (l *load) kill(ctx context.Context) {
	for l.o.every > 0 {
		wait := l.o.every/2 + rand.N(l.o.every)
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		all := l.server.Snapshot().Processes
		parent := slices.IndexFunc(all, func(p e2etest.Process) bool { return p.Name == "nsjail" })
		for _, p := range all {
			if parent >= 0 && p.Parent == all[parent].Pid {
				l.mu.Lock()
				l.kills++
				l.killed = time.Now()
				l.mu.Unlock()
				_ = syscall.Kill(p.Pid, syscall.SIGKILL)
				break
			}
		}
	}
}

// probe asks /health ten times a second; it must answer within one.
func (l *load) probe(ctx context.Context) {
	client := &http.Client{Timeout: 5 * time.Second}
	defer client.CloseIdleConnections()
	for ctx.Err() == nil {
		began := time.Now()
		res, err := client.Get(l.server.BaseURL + "/health")
		took := time.Since(began)
		switch {
		case err != nil:
			l.fault("/health: %v", err)
		case res.StatusCode != http.StatusOK && !l.nearKill():
			l.fault("/health: %d although nothing was killed", res.StatusCode)
		case took > time.Second:
			l.fault("/health took %v", took.Round(time.Millisecond))
		}
		if err == nil {
			_, _ = io.Copy(io.Discard, res.Body)
			res.Body.Close()
		}
		l.mu.Lock()
		l.health = append(l.health, took)
		l.mu.Unlock()
		time.Sleep(100 * time.Millisecond)
	}
}

func (l *load) print(took time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	kinds := make([]string, 0, len(l.counts))
	for kind := range l.counts {
		kinds = append(kinds, kind)
	}
	slices.Sort(kinds)
	fmt.Printf("runs              %d in %v, %.0f a second, %d at once; the zygote was killed %d times\n",
		l.o.runs, took.Round(time.Second), float64(l.o.runs)/took.Seconds(), l.o.clients, l.kills)
	for _, kind := range kinds {
		fmt.Printf("  %-30s %d\n", kind, l.counts[kind])
	}
	fmt.Printf("plain runs        p50 %v, p99 %v, slowest %v\n", quantile(l.plain, 0.5), quantile(l.plain, 0.99), quantile(l.plain, 1))
	fmt.Printf("/health           p50 %v, p99 %v, slowest %v\n", quantile(l.health, 0.5), quantile(l.health, 0.99), quantile(l.health, 1))
	fmt.Println(strings.Repeat("-", 60))
}

func quantile(d []time.Duration, q float64) time.Duration {
	if len(d) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(d))
	return sorted[int(q*float64(len(sorted)-1))].Round(100 * time.Microsecond)
}
