// Command soak sends many runs, a tenth of them hostile, to a real server
// whose zygote is killed now and then. Each request must have exactly one
// answer, a plain one the right one, and afterwards the server must be where it
// was before. e2e/stories has a short version in make test.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/python-code-executor/pyexec/e2e/e2etest"
)

type options struct {
	runs    int
	clients int
	every   time.Duration // a zygote is killed
	hostile string
	limit   time.Duration // of the whole
}

func main() {
	var o options
	flag.IntVar(&o.runs, "runs", 20000, "how many runs")
	flag.IntVar(&o.clients, "clients", 8, "how many at once")
	flag.DurationVar(&o.every, "kill", 3*time.Second, "about how often the zygote is killed; 0 never")
	flag.StringVar(&o.hostile, "hostile", "e2e/hostile", "folder of hostile scripts")
	flag.DurationVar(&o.limit, "limit", time.Hour, "time for the whole")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, o.limit)
	defer cancel()
	if err := soak(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

func soak(ctx context.Context, o options) (err error) {
	scripts, err := hostileScripts(o.hostile)
	if err != nil {
		return err
	}
	server, err := e2etest.Launch(ctx, e2etest.Config{Args: []string{"--policy=off", "--timeout=5s", "--ready=4"}})
	if err != nil {
		return err
	}
	defer e2etest.Cleanup()
	defer func() { err = errors.Join(err, server.Stop()) }()
	before := server.Settle()
	memory := e2etest.RSS(server.Pid)
	began := time.Now()
	l := newLoad(server, o, scripts)
	l.run(ctx)
	took := time.Since(began)
	after := server.Settle()
	left := server.Leftovers(before)
	grown := e2etest.RSS(server.Pid) - memory

	l.print(took)
	fmt.Printf("server            %d MB before, %d MB after\n", memory>>20, (memory+grown)>>20)
	fmt.Printf("before            %s\nafter             %s\n", before, after)
	if left != nil {
		l.fault("%v", left)
	}
	if grown > 64<<20 {
		l.fault("the server grew by %d MB", grown>>20)
	}
	if n := l.answers(); ctx.Err() == nil && n != o.runs {
		l.fault("%d answers to %d requests", n, o.runs)
	}
	if ctx.Err() != nil {
		l.fault("it was ended before its time: %v", context.Cause(ctx))
	}
	slices.Sort(l.faults)
	for _, f := range slices.Compact(l.faults) {
		fmt.Println("FAULT", f)
	}
	if len(l.faults) > 0 {
		return fmt.Errorf("%d faults", len(l.faults))
	}
	fmt.Println("no fault")
	return nil
}
