// Command hostile runs folders of hostile scripts through the real server and
// prints what became of each promise. It exits with 1 when one was broken.
//
//	go run ./e2e/corpus/cmd/hostile -dir DIR [-dir DIR] [-policy off,standard] [-mode parallel,shuffled,alone]
//	                                [-force-level full,landlock] [-uid 0,12345] [-repeat 3]
//
// It starts the server itself, once for each combination, and then also checks
// that nothing of the runs is left. With -url it takes a running one. The last
// line counts scripts and levels.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"strconv"
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
	modes      string
	levels     string
	uids       string
	repeat     int
	rotate     bool
	verbose    bool
	options    corpus.Options

	total total
}

// total is what all combinations came to.
type total struct {
	executed, failed, problems, missing, folders int
	at                                           []string // level, user and policy of each server
}

func (t *total) add(r *corpus.Report, as string) {
	executed, _, failed, _ := r.Counts()
	t.executed += executed
	t.failed += failed
	t.problems += len(r.Problems)
	t.missing += r.Missing()
	t.folders++
	if at := fmt.Sprintf("%s (%s, policy %s)", r.Level, as, r.Policy); !slices.Contains(t.at, at) {
		t.at = append(t.at, at)
	}
}

func (t *total) String() string {
	return fmt.Sprintf("TOTAL: %d scripts executed, %d failed, %d problems, %d not run, in %d passes over a folder; %d settings: %s",
		t.executed, t.failed, t.problems, t.missing, t.folders, len(t.at), strings.Join(t.at, "; "))
}

func main() {
	var s settings
	flag.Var(&s.dirs, "dir", "folder of scripts; may be given more than once")
	flag.Var(&s.args, "server-arg", "another flag of pyexec serve; may be given more than once")
	flag.StringVar(&s.url, "url", "", "address of a running server, instead of starting one")
	flag.StringVar(&s.policies, "policy", "off", "policies to run with, separated by commas; with -url, what the server has")
	flag.StringVar(&s.modes, "mode", "parallel", "how to run each folder: parallel, shuffled (in another order each time), alone; separated by commas")
	flag.StringVar(&s.levels, "force-level", "", "isolation levels to force, separated by commas; empty takes what the machine gives")
	flag.StringVar(&s.uids, "uid", "", "users to run the server as, separated by commas; needs root; empty is who runs this")
	flag.StringVar(&s.options.Level, "level", "", "isolation level to judge by, instead of /health's word")
	flag.DurationVar(&s.options.Timeout, "timeout", 2*time.Second, "time limit of scripts that may end by it")
	flag.DurationVar(&s.options.Patience, "patience", 8*time.Second, "time limit of all others")
	flag.DurationVar(&s.options.Slack, "slack", 0, "added to the deadline, for a loaded machine")
	flag.IntVar(&s.options.Parallel, "parallel", 8, "scripts at once")
	flag.Uint64Var(&s.options.Seed, "seed", uint64(time.Now().UnixNano()), "of the order with -mode shuffled")
	flag.IntVar(&s.repeat, "repeat", 1, "how often to run each folder")
	flag.BoolVar(&s.rotate, "rotate", false, "one mode and one policy for each level and user in a round, the next ones in the next round: three rounds with two users show each level every mode twice and each policy three times")
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
	fmt.Println(&s.total)
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
	for round := range s.repeat {
		for u, uid := range strings.Split(s.uids, ",") {
			for l, level := range strings.Split(s.levels, ",") {
				policies, modes := strings.Split(s.policies, ","), strings.Split(s.modes, ",")
				if s.rotate {
					policies = policies[(round+u+l)%len(policies):][:1]
					modes = modes[(round+l)%len(modes):][:1]
				}
				for _, policy := range policies {
					s.options.Policy = policy
					good, err := s.runServer(ctx, uid, level, modes)
					if err != nil {
						return false, err
					}
					ok = ok && good
				}
			}
		}
	}
	return ok, nil
}

func (s *settings) runServer(ctx context.Context, uid, level string, modes []string) (bool, error) {
	if s.url != "" {
		return s.runDirs(ctx, s.url, "given server", modes)
	}
	config := e2etest.Config{
		// A pool of one size, so that what is left over shows.
		Args: append([]string{"--policy=" + s.options.Policy, "--ready=4"}, s.args...),
		Env:  []string{"CORPUS_CANARY_SECRET=" + s.options.Canaries.Secret},
	}
	if level != "" {
		config.Args = append(config.Args, "--unsafe-force-level="+level)
	}
	as := fmt.Sprintf("uid %d", os.Getuid())
	if uid != "" {
		n, err := strconv.ParseUint(uid, 10, 32)
		if err != nil {
			return false, err
		}
		as = fmt.Sprintf("uid %d", n)
		if int(n) != os.Getuid() {
			config.User = &syscall.Credential{Uid: uint32(n), Gid: uint32(n)}
		}
	}
	server, err := e2etest.Launch(ctx, config)
	if err != nil {
		return false, err
	}
	before := server.Settle()
	s.options.Pid = server.Pid
	s.options.Leftovers = func() error { return server.Leftovers(before) }
	ok, err := s.runDirs(ctx, server.BaseURL, as, modes)
	if stopErr := server.Stop(); err == nil {
		err = stopErr
	}
	return ok, err
}

func (s *settings) runDirs(ctx context.Context, url, as string, modes []string) (bool, error) {
	ok := true
	for _, mode := range modes {
		o := s.options
		switch mode {
		case "parallel":
			o.Seed = 0
		case "shuffled":
			s.options.Seed++
		case "alone":
			o.Alone, o.Seed = true, 0
		default:
			return false, fmt.Errorf("unknown mode %q", mode)
		}
		for _, dir := range s.dirs {
			o.Dir = dir
			o.Contract = true
			report, err := corpus.Run(ctx, url, o)
			if err != nil {
				return false, err
			}
			fmt.Printf("%s, %s, as %s:\n%s", dir, mode, as, report)
			s.total.add(report, as)
			ok = ok && report.OK()
		}
	}
	return ok, nil
}
