// The command bench measures a pyexec server against references in one run,
// interleaved: `make bench`, or `go run ./e2e/bench -h`.
//
// The figures that matter are ratios, to a cold python3 or to the baseline
// (nsjail + python3 for each request), since machines are noisy. Each is taken
// within a round; the table shows the median of the rounds.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/python-code-executor/pyexec/e2e/e2etest"
)

type options struct {
	quick      bool
	rounds     int
	only       map[string]bool
	peers      []string
	binary     string
	python     string
	nsjail     string
	serverArgs []string
	json       string
	plot       string
	runs       int
	think      time.Duration
	root       string
}

// sections are what -only may name, in the order in which they are measured.
var sections = []string{"start", "memory", "latency", "rate", "overload", "neighbour", "flat"}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	o, err := parse(os.Args[1:])
	if err == nil {
		err = run(ctx, o)
	}
	stop()
	if err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "bench:", err)
		}
		os.Exit(1)
	}
}

func parse(args []string) (options, error) {
	root, err := e2etest.Root()
	if err != nil {
		return options{}, err
	}
	o := options{root: root, only: map[string]bool{}}
	dir := os.Getenv("PYEXEC_DIR")
	if dir == "" {
		dir = filepath.Join(root, ".pyexec")
	}
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.BoolVar(&o.quick, "quick", false, "about 90 s instead of about 8 min: fewer samples a round")
	f.IntVar(&o.rounds, "rounds", 5, "interleaved rounds; the table shows their median")
	only := f.String("only", strings.Join(sections, ","), "what to measure")
	peers := f.String("peers", "", "peers to build from the Go proxy and run: go-judge or go-judge@VERSION")
	f.Func("peer", "NAME=URL,ADAPTER: a peer that runs already; adapters: "+strings.Join(adapterNames(), ", "), func(s string) error {
		o.peers = append(o.peers, s)
		return nil
	})
	f.StringVar(&o.binary, "binary", filepath.Join(root, "bin", "pyexec"), "server to measure")
	f.StringVar(&o.python, "python", filepath.Join(dir, "venv", "bin", "python3"), "interpreter of the references")
	f.StringVar(&o.nsjail, "nsjail", filepath.Join(dir, "bin", "nsjail"), "nsjail of the baseline")
	serverArgs := f.String("server-args", "", "more flags of pyexec serve, with blanks between")
	f.StringVar(&o.json, "json", "bench.json", "where the figures go; empty for nowhere")
	f.StringVar(&o.plot, "plot", "bench.svg", "where the plot goes; empty for nowhere")
	f.IntVar(&o.runs, "runs", 2000, "runs after which memory must be what it was; the issue asks for 100000")
	f.DurationVar(&o.think, "think", 60*time.Millisecond, "pause between requests where one is sent at a time")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("unexpected %q", f.Arg(0))
	}
	for name := range strings.SplitSeq(*only, ",") {
		if !slices.Contains(sections, name) {
			return o, fmt.Errorf("-only: %q is not one of %s", name, strings.Join(sections, ", "))
		}
		o.only[name] = true
	}
	if *peers != "" {
		o.peers = append(o.peers, strings.Split(*peers, ",")...)
	}
	o.serverArgs = strings.Fields(*serverArgs)
	o.rounds = max(o.rounds, 1)
	return o, nil
}

// bench is one run of this command.
type bench struct {
	options
	dir    string // temporary
	server *server
	ours   *httpTarget
	cold   *coldTarget   // R: cold python3 -I -c pass
	base   *nsjailTarget // the baseline
	floor  *floorTarget
	others []target // peers
	report *report
}

// run measures everything and leaves nothing behind, also when ctx ends.
func run(ctx context.Context, o options) (err error) {
	b := &bench{options: o, report: newReport(o)}
	if b.dir, err = os.MkdirTemp("", "pyexec-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	began := time.Now()
	if err := b.targets(ctx); err != nil {
		return err
	}
	defer b.close()
	b.report.header(os.Stdout)
	if err := b.measure(ctx); err != nil {
		return err
	}
	b.report.Seconds = time.Since(began).Seconds()
	b.report.judge()
	b.report.print(os.Stdout)
	return b.report.save(o)
}

// targets starts what stays up during the measurements.
func (b *bench) targets(ctx context.Context) (err error) {
	defer func() {
		if err != nil {
			b.close()
		}
	}()
	b.cold = &coldTarget{python: b.python}
	if b.base, err = newNsjail(ctx, b.options); err != nil {
		return err
	}
	if b.floor, err = newFloor(b.options); err != nil {
		return err
	}
	if b.server, err = startServer(ctx, b.options); err != nil {
		return err
	}
	if err := b.server.awaitPandas(ctx); err != nil {
		return err
	}
	b.ours = &httpTarget{title: "pyexec", url: b.server.url, call: adapters["pyexec"], python: b.python, client: newClient()}
	for _, spec := range b.peers {
		peer, err := newPeer(ctx, b, spec)
		if err != nil {
			return fmt.Errorf("peer %s: %w", spec, err)
		}
		b.others = append(b.others, peer)
	}
	b.report.Machine, err = machineFacts(ctx, b)
	return err
}

func (b *bench) close() {
	for _, t := range b.others {
		t.close()
	}
	if b.floor != nil {
		b.floor.close()
	}
	if b.server != nil {
		if err := b.server.stop(); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
		}
	}
}

// measure goes through the sections. Those with a server of their own come
// first; the others are interleaved in rounds.
func (b *bench) measure(ctx context.Context) error {
	for round := range b.rounds {
		fmt.Fprintf(os.Stderr, "bench: round %d of %d\n", round+1, b.rounds)
		for _, section := range []struct {
			name string
			do   func(context.Context) error
		}{
			{"latency", b.latencyRound},
			{"rate", b.rateRound},
			{"overload", b.overloadRound},
			{"start", b.startRound},
			{"neighbour", b.neighbourRound},
		} {
			if !b.only[section.name] {
				continue
			}
			if err := section.do(ctx); err != nil {
				return fmt.Errorf("%s: %w", section.name, err)
			}
		}
	}
	if b.only["memory"] {
		if err := b.memory(ctx); err != nil {
			return fmt.Errorf("memory: %w", err)
		}
	}
	if b.only["flat"] {
		if err := b.flat(ctx); err != nil {
			return fmt.Errorf("flat: %w", err)
		}
	}
	return ctx.Err()
}
