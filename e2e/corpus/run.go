package corpus

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/python-code-executor/pyexec/e2e/contract"
	"github.com/python-code-executor/pyexec/e2e/e2etest/strictjson"
)

// Options say which scripts to run, how, and what is known of the server.
type Options struct {
	Dir    string
	Only   *regexp.Regexp // run only scripts of matching names; nil runs all
	Policy string         // what the server was started with: "off" (default), "standard" or "strict"
	Level  string         // isolation level; "" takes /health's word

	Timeout  time.Duration // timeout_ms of scripts that may end by it; 2 s when 0
	Patience time.Duration // timeout_ms of scripts that must end by themselves; 8 s when 0
	Slack    time.Duration // added to the deadline, for a loaded machine
	Contract bool          // hold every answer to the OpenAPI document of the server
	Details  bool          // ask for details with every script; those whose text names output/ always get them
	Parallel int           // scripts at once; 8 when 0
	Alone    bool          // one at a time, with the checks that need it
	Linger   time.Duration // how long /health is watched after a run; 2 s when 0
	Seed     uint64        // shuffles the scripts; 0 keeps their order

	Canaries  *Canaries    // stand on the host; the server has their secret
	Pid       int          // the server's, for its memory; 0 when not known
	Leftovers func() error // what is left of runs; retries by itself for as long as that is allowed
	Peak      func() (bytes int64, err error)
	HostRoots []string             // folders that must not change; nil means /etc and /usr
	Logf      func(string, ...any) // progress; nil is silent
}

// Outcome is what became of one script.
type Outcome struct {
	Name     string
	Skipped  string // why it was not run
	Failures []string
	Unproven bool
	Answer   string
	Elapsed  time.Duration
}

// Report is what became of a folder.
type Report struct {
	Dir, Policy, Level string
	Total              int // scripts in the folder
	Outcomes           []Outcome
	Problems           []string // of no single script
	Notes              []string
	Elapsed            time.Duration
	SlowestHealth      time.Duration
	Growth             int64 // of the server's memory, at its peak

	filtered bool
}

// filesPatience is how long the removal of what a run wrote may take.
const filesPatience = 20 * time.Second

func (o Options) withDefaults() Options {
	if o.Policy == "" {
		o.Policy = "off"
	}
	if o.Timeout == 0 {
		o.Timeout = 2 * time.Second
	}
	if o.Patience == 0 {
		o.Patience = 8 * time.Second
	}
	if o.Linger == 0 {
		o.Linger = probeGoesOn
	}
	if o.Parallel == 0 {
		o.Parallel = 8
	}
	if o.Alone {
		o.Parallel = 1
	}
	if o.HostRoots == nil {
		o.HostRoots = []string{"/etc", "/usr"}
	}
	if o.Logf == nil {
		o.Logf = func(string, ...any) {}
	}
	return o
}

// Run runs the folder's scripts against the server at baseURL. An error means
// that it could not be done; what the scripts did is in the report.
func Run(ctx context.Context, baseURL string, options Options) (*Report, error) {
	o := options.withDefaults()
	scripts, err := Load(o.Dir)
	if err != nil {
		return nil, err
	}
	var through http.RoundTripper = &http.Transport{MaxIdleConnsPerHost: 32}
	if options.Contract {
		through = contract.Transport{Base: through}
	}
	c, err := newClient(strings.TrimSuffix(baseURL, "/"), scripts, through)
	if err != nil {
		return nil, err
	}
	h, err := c.health(ctx)
	if err != nil {
		return nil, err
	}
	if o.Level == "" {
		o.Level = h.Level
	}
	r := &runner{options: o, client: c, packages: h.Packages}
	r.mode = Mode{Policy: o.Policy, Level: o.Level, Slack: o.Slack}
	if o.Canaries != nil {
		r.mode.Secrets = o.Canaries.Secrets()
	}
	r.report = &Report{Dir: filepath.Clean(o.Dir), Policy: o.Policy, Level: o.Level, Total: len(scripts), filtered: o.Only != nil}
	usual, failures := c.usualPlain()
	if failures != nil {
		return nil, fmt.Errorf("a plain script fails before any hostile one ran: %s", strings.Join(failures, "; "))
	}
	r.usual = usual
	r.all(ctx, scripts)
	return r.report, nil
}

type runner struct {
	options  Options
	client   *client
	mode     Mode
	packages map[string]string
	usual    time.Duration // of a plain run
	probe    *prober
	report   *Report

	mu sync.Mutex
}

func (r *runner) all(ctx context.Context, scripts []*Script) {
	start := time.Now()
	if r.options.Canaries != nil {
		r.report.Notes = append(r.report.Notes, r.options.Canaries.Notes...)
	}
	before := lookAtHost(r.options.HostRoots)
	r.probe = startProber(r.client.url, r.options.Pid) //nolint:contextcheck // ends with close

	singles, pairs := r.sort(scripts)
	r.each(ctx, len(singles), r.options.Parallel, func(i int) { r.single(singles[i]) })
	r.each(ctx, len(pairs), max(1, r.options.Parallel/4), func(i int) { r.pair(pairs[i][0], pairs[i][1]) })

	time.Sleep(r.options.Linger)
	r.probe.close()
	r.report.Problems = append(r.report.Problems, r.probe.take()...)
	r.report.SlowestHealth, r.report.Growth = r.probe.slowest, r.probe.mostGrowth()
	r.problems(r.leftovers()...)
	if r.options.Canaries != nil {
		r.problems(r.options.Canaries.Check()...)
	}
	r.problems(before.changes(lookAtHost(r.options.HostRoots), scripts)...)
	if err := ctx.Err(); err != nil {
		r.problems("not finished: " + err.Error())
	}
	slices.SortFunc(r.report.Outcomes, func(a, b Outcome) int { return strings.Compare(a.Name, b.Name) })
	r.report.Elapsed = time.Since(start)
}

// leftovers are what is left of runs. Idle connections of ours would count as
// descriptors of the server's.
func (r *runner) leftovers() []string {
	if r.options.Leftovers == nil {
		return nil
	}
	http.DefaultClient.CloseIdleConnections() // of the warming
	r.client.http.CloseIdleConnections()
	r.probe.client.CloseIdleConnections()
	err := r.options.Leftovers()
	// Where there is no tmpfs to throw away, what a run wrote is removed file by file.
	for deadline := time.Now().Add(filesPatience); err != nil && r.mode.filesRemain() && time.Now().Before(deadline); {
		err = r.options.Leftovers()
	}
	if err != nil {
		return []string{err.Error()}
	}
	return nil
}

func (r *runner) problems(found ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.report.Problems = append(r.report.Problems, found...)
}

// sort filters, shuffles, and takes the pairs out.
func (r *runner) sort(scripts []*Script) (singles []*Script, pairs [][2]*Script) {
	byName := map[string]*Script{}
	for _, s := range scripts {
		switch why := r.skip(s); {
		case r.options.Only != nil && !r.options.Only.MatchString(s.Name):
		case why != "":
			r.done(Outcome{Name: s.Name, Skipped: why})
		default:
			byName[s.Name] = s
		}
	}
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		s := byName[name]
		other := byName[s.Pair]
		switch {
		case s.Pair == "" || other == nil:
			singles = append(singles, s)
		case s.Name < other.Name:
			pairs = append(pairs, [2]*Script{s, other})
		}
	}
	if r.options.Seed != 0 {
		shuffle := rand.New(rand.NewPCG(r.options.Seed, 0))
		shuffle.Shuffle(len(singles), func(i, j int) { singles[i], singles[j] = singles[j], singles[i] })
		shuffle.Shuffle(len(pairs), func(i, j int) { pairs[i], pairs[j] = pairs[j], pairs[i] })
	}
	return singles, pairs
}

func (r *runner) skip(s *Script) string {
	if s.Arch != "" && s.Arch != runtime.GOARCH {
		return "needs architecture " + s.Arch
	}
	for _, name := range s.Needs {
		if r.packages[name] == "" {
			return "needs " + name
		}
	}
	return ""
}

// each does n things, some at a time.
func (r *runner) each(ctx context.Context, n, parallel int, do func(int)) {
	next := make(chan int)
	var workers sync.WaitGroup
	for range parallel {
		workers.Go(func() {
			for i := range next {
				do(i)
			}
		})
	}
	for i := range n {
		if ctx.Err() != nil {
			break
		}
		next <- i
	}
	close(next)
	workers.Wait()
}

func (r *runner) done(o Outcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.report.Outcomes = append(r.report.Outcomes, o)
	for _, failure := range o.Failures {
		r.options.Logf("FAIL %s: %s", o.Name, failure)
	}
	r.options.Logf("%s (%v): %s%s", o.Name, o.Elapsed.Round(time.Millisecond), strictjson.Cut(o.Answer, 200), o.Skipped)
}
