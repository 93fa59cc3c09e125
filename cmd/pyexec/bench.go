package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"sync/atomic"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/python-code-executor/pyexec/client"
	"github.com/python-code-executor/pyexec/internal/config"
	"github.com/python-code-executor/pyexec/internal/load"
)

var benchCommand = command{
	name: "bench", args: "[SCRIPT]", most: 1,
	summary: "keep a server busy and say how many runs it does and how long they take",
	about: `Each client sends its next run when it has the answer to the one before. What
is counted is a whole call as the client sees it. Refusals for want of room (429,
503) are counted apart; any other error ends the measurement. The script is a
hello world by default; one of yours must succeed.

Give only servers that are yours.`,
	examples: []string{
		"pyexec bench",
		"pyexec bench --clients 1,2,4,8 --duration 10s",
		"pyexec bench script.py --server http://10.0.0.7:8080 --json",
	},
	options: []option{
		{name: "server", kind: "URL", help: "the server (http://127.0.0.1:8080, or $" + config.ServerVariable + "), with the key in " + config.KeyVariable + " if it wants one"},
		{name: "clients", kind: "N,...", help: "how many at once; several are measured one after the other (1,2,4)"},
		{name: "duration", kind: "DURATION", help: "how long each is measured (5s)"},
		{name: "json", help: "print the figures as JSON"},
	},
	run: bench,
}

const benchScript = "def main():\n    return {\"message\": \"Hello World\"}"

// benchLead is how long is not counted: the server's ready children would make
// the first answers quicker than it can go on.
const benchLead = 300 * time.Millisecond

type figures struct {
	Clients   int         `json:"clients"`
	PerSecond float64     `json:"runs_per_second"`
	Latency   load.Spread `json:"latency"`
	Refused   int         `json:"refused"`
}

func bench(in *invocation) int {
	url, script := serverOf(in), benchScript
	if url == "" {
		url = "http://127.0.0.1:8080"
	}
	clients, err := counts(in.value("clients"), []int{1, 2, 4})
	if err != nil {
		in.problem("--clients: %w", err)
	}
	duration := 5 * time.Second
	if in.is("duration") {
		if duration, err = time.ParseDuration(in.value("duration")); err != nil || duration <= 0 || duration > time.Hour {
			in.problem("--duration: %q is not a duration between 1ns and 1h, such as 10s", in.value("duration"))
		}
	}
	c, err := client.New(url, client.WithKey(os.Getenv(config.KeyVariable)), client.WithRetries(0, 0),
		client.WithHTTPClient(&http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1000}}))
	if err != nil {
		in.problem("--%w", err)
	}
	if len(in.problems) > 0 {
		return in.usage()
	}
	if len(in.args) > 0 {
		text, err := readFile(in.args[0])
		if err != nil {
			in.ui.fail("%v", err)
			return exitNoInput
		}
		if err := notUTF8(text); err != nil {
			in.problem("%s: %w", in.args[0], err)
			return in.usage()
		}
		script = string(text)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	var all []figures
	for _, n := range clients {
		f, err := measure(ctx, in, c, client.Request{Script: script}, n, duration)
		if ctx.Err() != nil {
			in.ui.fail("interrupted")
			return exitInterrupt
		}
		if err != nil {
			in.ui.fail("%s: %v", url, err)
			return exitOf(err)
		}
		all = append(all, f)
	}
	return printFigures(in, url, all)
}

func measure(ctx context.Context, in *invocation, c *client.Client, req client.Request, clients int, d time.Duration) (figures, error) {
	var runs atomic.Int64
	began := time.Now()
	done := in.ui.progress(func() string {
		return fmt.Sprintf("%d at once: %.0f s of %.0f s, %d runs", clients, time.Since(began).Seconds(), (d + benchLead).Seconds(), runs.Load())
	})
	defer done()
	r, err := load.Loop{
		Callers: clients, Duration: d, Lead: benchLead,
		Call: func(ctx context.Context) error {
			_, err := c.Execute(ctx, req)
			runs.Add(1)
			return err
		},
		Tolerate: func(err error) bool {
			var e *client.Error
			if !errors.As(err, &e) || !e.Retryable() {
				return false
			}
			// A client that is refused comes back at once, but not so fast that
			// refusing is all that the server does.
			time.Sleep(10 * time.Millisecond)
			return true
		},
	}.Run(ctx)
	return figures{clients, r.PerSecond, r.Calls.Spread(), r.Failed}, err
}

func printFigures(in *invocation, url string, all []figures) int {
	if in.is("json") {
		enc := json.NewEncoder(in.ui.out)
		enc.SetIndent("", "  ")
		if err := enc.Encode(map[string]any{"server": url, "figures": all}); err != nil {
			return exitCannotWrite
		}
		return 0
	}
	tw := tabwriter.NewWriter(in.ui.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tw, "at once\truns/s\tp50 ms\tp90 ms\tp99 ms\truns\trefused\t")
	for _, f := range all {
		fmt.Fprintf(tw, "%d\t%.0f\t%.1f\t%.1f\t%.1f\t%d\t%d\t\n", f.Clients, f.PerSecond, f.Latency.P50, f.Latency.P90, f.Latency.P99, f.Latency.N, f.Refused)
	}
	if tw.Flush() != nil {
		return exitCannotWrite
	}
	return 0
}

func counts(text string, otherwise []int) ([]int, error) {
	if text == "" {
		return otherwise, nil
	}
	var all []int
	for _, part := range splitList(text) {
		n, err := strconv.Atoi(part)
		if err != nil || n < 1 || n > 1000 {
			return nil, fmt.Errorf("%q is not a number between 1 and 1000", part)
		}
		all = append(all, n)
	}
	return all, nil
}
