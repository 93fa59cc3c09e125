// Command hostile runs folders of hostile scripts through the real server and
// prints what became of each promise. It exits with 1 when one was broken.
//
//	go run ./e2e/corpus/cmd/hostile -dir DIR [-dir DIR] [-policy off,standard] [-alone] [-shuffle 7]
//
// It starts the server itself, once for each policy, and then also checks that
// nothing of the runs is left. With -url it takes a running one.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/python-code-executor/pyexec/e2e/corpus"
	"github.com/python-code-executor/pyexec/e2e/e2etest"
)

type listFlag []string

func (l *listFlag) String() string     { return strings.Join(*l, " ") }
func (l *listFlag) Set(s string) error { *l = append(*l, s); return nil }

type settings struct {
	dirs, args listFlag
	url        string
	policies   string
	repeat     int
	verbose    bool
	options    corpus.Options
}

func main() {
	var s settings
	flag.Var(&s.dirs, "dir", "folder of scripts; may be given more than once")
	flag.Var(&s.args, "server-arg", "another flag of pyexec serve; may be given more than once")
	flag.StringVar(&s.url, "url", "", "address of a running server, instead of starting one")
	flag.StringVar(&s.policies, "policy", "off", "policies to run with, separated by commas; with -url, what the server has")
	flag.StringVar(&s.options.Level, "level", "", "isolation level to judge by, instead of /health's word")
	flag.DurationVar(&s.options.Timeout, "timeout", 2*time.Second, "time limit of scripts that may end by it")
	flag.DurationVar(&s.options.Patience, "patience", 8*time.Second, "time limit of all others")
	flag.DurationVar(&s.options.Slack, "slack", 0, "added to the deadline, for a loaded machine")
	flag.IntVar(&s.options.Parallel, "parallel", 8, "scripts at once")
	flag.BoolVar(&s.options.Alone, "alone", false, "one script at a time, with the checks that need it")
	flag.Uint64Var(&s.options.Seed, "shuffle", 0, "seed to shuffle the scripts with; 0 keeps their order")
	flag.IntVar(&s.repeat, "repeat", 1, "how often to run each folder")
	flag.BoolVar(&s.verbose, "v", false, "print every script")
	only := flag.String("only", "", "run only scripts whose name matches")
	flag.Parse()

	if err := prepare(&s, *only); err != nil {
		fmt.Fprintln(os.Stderr, "hostile:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	ok, err := s.run(ctx)
	stop()
	e2etest.Cleanup()
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "hostile:", err)
		os.Exit(2)
	case !ok:
		os.Exit(1)
	}
}

func prepare(s *settings, only string) error {
	if len(s.dirs) == 0 {
		return fmt.Errorf("-dir is missing")
	}
	for _, dir := range s.dirs {
		if _, err := corpus.Load(dir); err != nil {
			return err
		}
	}
	if only != "" {
		var err error
		if s.options.Only, err = regexp.Compile(only); err != nil {
			return err
		}
	}
	if s.verbose {
		s.options.Logf = func(format string, args ...any) { fmt.Printf(format+"\n", args...) }
	}
	return nil
}

func (s *settings) run(ctx context.Context) (bool, error) {
	canaries, err := corpus.NewCanaries()
	if err != nil {
		return false, err
	}
	defer canaries.Close()
	s.options.Canaries = canaries

	ok := true
	for policy := range strings.SplitSeq(s.policies, ",") {
		s.options.Policy = policy
		good, err := s.runPolicy(ctx)
		if err != nil {
			return false, err
		}
		ok = ok && good
	}
	return ok, nil
}

func (s *settings) runPolicy(ctx context.Context) (bool, error) {
	if s.url != "" {
		return s.runDirs(ctx, s.url)
	}
	server, err := e2etest.Launch(ctx, e2etest.Config{
		// A pool of one size, so that what is left over shows.
		Args: append([]string{"--policy=" + s.options.Policy, "--ready=4"}, s.args...),
		Env:  []string{"CORPUS_CANARY_SECRET=" + s.options.Canaries.Secret},
	})
	if err != nil {
		return false, err
	}
	before := server.Settle()
	s.options.Pid = server.Pid
	s.options.Leftovers = func() error { return server.Leftovers(before) }
	ok, err := s.runDirs(ctx, server.BaseURL)
	if stopErr := server.Stop(); err == nil {
		err = stopErr
	}
	return ok, err
}

func (s *settings) runDirs(ctx context.Context, url string) (bool, error) {
	ok := true
	for range s.repeat {
		for _, dir := range s.dirs {
			s.options.Dir = dir
			report, err := corpus.Run(ctx, url, s.options)
			if err != nil {
				return false, err
			}
			fmt.Printf("%s:\n%s", dir, report)
			ok = ok && report.OK()
		}
	}
	return ok, nil
}
