package corpus

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/python-code-executor/pyexec/e2e/e2etest/strictjson"
)

const (
	stdoutCap   = 1 << 20
	stdoutExtra = 100 // the mark after the cap

	// tenantMark begins the marks that plain runs carry in their environment
	// and standard input. No other run's answer may hold one.
	tenantMark = "CORPUS-TENANT-MARK-"
)

// Mode is what the server was started with and how much is known of it.
type Mode struct {
	Policy  string // "off", "standard" or "strict"
	Level   string
	Slack   time.Duration // added to the deadline of timeout + 1 s, for a loaded machine
	Secrets []string      // canaries that must be in no answer
}

func (m Mode) filesRemain() bool { return m.Level == "landlock" || m.Level == "seccomp" }

// known are scripts whose header has no open-at for a level that yet cannot
// answer as it expects: what they may answer there, and why.
var known = map[string]map[string][2]string{
	"landlock": {
		"ret_open_file": {"error:exception", "opens /tmp/f, and at this level only the run's own directory (TMPDIR) can be written to"},
	},
}

// Verdict is what one answer shows.
type Verdict struct {
	Failures []string
	// Unproven is set where the script was to show that it is contained, and
	// ended in an error instead: allowed, and worth a look, since a script
	// that never got as far as its attack shows nothing.
	Unproven bool
}

func (v *Verdict) fail(format string, args ...any) {
	v.Failures = append(v.Failures, fmt.Sprintf(format, args...))
}

var truncationMark = regexp.MustCompile(`\[output truncated: [0-9]+ bytes dropped\]\n?$`)

// Judge decides what one answer to a script is worth.
func Judge(s *Script, a *Answer, mode Mode) Verdict {
	var v Verdict
	switch {
	case a.Err != nil:
		v.fail("no answer: %v", a.Err)
		return v
	case a.Status != http.StatusOK && a.Status != http.StatusBadRequest:
		v.fail("status %d is no answer to a script", a.Status)
	default:
		v.Failures = append(v.Failures, a.wellFormed()...)
	}
	forbidden(&v, a, mode)
	forged(&v, a)
	limits(&v, s, a, mode)
	if len(v.Failures) == 0 && !slices.Contains(s.OpenAt, mode.Level) {
		expected(&v, s, a, mode)
	}
	return v
}

// forbidden looks for texts that only an escape, or another run, brings into
// an answer.
func forbidden(v *Verdict, a *Answer, mode Mode) {
	result := ""
	if r, ok := a.object()["result"]; ok {
		result = flatten(r)
	}
	for _, text := range []string{"EXEC-ESCAPED", "HIDDEN", "CORPUS-POISON"} {
		for where, in := range map[string]string{"stdout": a.Stdout(), "result": result, "message": a.Message()} {
			if strings.Contains(in, text) {
				v.fail("%s contains %s", where, text)
			}
		}
	}
	for _, secret := range append([]string{tenantMark}, mode.Secrets...) {
		if secret != "" && (strings.Contains(string(a.Body), secret) || strings.Contains(headers(a), secret)) {
			v.fail("the answer contains the canary %q", secret)
		}
	}
	files, err := a.files()
	if err != nil {
		v.fail("%v", err)
	}
	for _, text := range append([]string{"root:x:0:0", tenantMark, "corpus-host-canary"}, mode.Secrets...) {
		if text != "" && strings.Contains(files, text) {
			v.fail("a collected file contains %q", text)
		}
	}
	if text, _ := a.failure()["traceback"].(string); strings.Contains(text, "pyexec_runner") {
		v.fail("the traceback shows a frame of the runner")
	}
}

func headers(a *Answer) string {
	var b strings.Builder
	_ = a.Header.Write(&b)
	return b.String()
}

// flatten is every text of a JSON value, keys included.
func flatten(v any) string {
	var b strings.Builder
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case string:
			b.WriteString(v + "\n")
		case []any:
			for _, e := range v {
				walk(e)
			}
		case map[string]any:
			for key, e := range v {
				b.WriteString(key + "\n")
				walk(e)
			}
		}
	}
	walk(v)
	return b.String()
}

// forged finds kinds and fields that are the server's to say and cannot be
// true.
func forged(v *Verdict, a *Answer) {
	const clockSlack = 50 * time.Millisecond
	if a.Type() != "timeout" || a.Timeout == 0 {
		return
	}
	if a.Elapsed+clockSlack < a.Timeout {
		v.fail("forged: a timeout after %v, the limit being %v", a.Elapsed.Round(time.Millisecond), a.Timeout)
	}
	if ms, ok := a.number("limit_ms"); ok && ms != a.Timeout.Milliseconds() {
		v.fail("limit_ms is %d, not %d", ms, a.Timeout.Milliseconds())
	}
}

func limits(v *Verdict, s *Script, a *Answer, mode Mode) {
	if a.Timeout > 0 {
		if over := a.Elapsed - a.queued() - a.Timeout; over > time.Second+mode.Slack {
			v.fail("deadline: answered %v after the timeout of %v", over.Round(time.Millisecond), a.Timeout)
		}
	}
	size, most := len(a.Stdout()), 3*stdoutCap+stdoutExtra // a replaced byte takes three
	if s.Has("stdout-cap") {
		most = stdoutCap + stdoutExtra
	}
	if size > most {
		v.fail("stdout has %d bytes", size)
	}
	if size > 3*stdoutCap && !truncationMark.MatchString(a.Stdout()) {
		v.fail("a cut stdout does not end in its mark: %q", a.Stdout()[size-60:])
	}
}

// expected compares the answer with what the header expects.
func expected(v *Verdict, s *Script, a *Answer, mode Mode) {
	policyOff := mode.Policy == "off"
	if !policyOff && a.Type() == "policy_violation" && usesBlocked(s, mode.Policy) {
		return
	}
	expect := slices.Clone(s.Expect)
	if k, ok := known[mode.Level][s.Name]; ok {
		expect = append(expect, k[0])
	}
	anything := false
	if i := slices.Index(expect, "error:blocked"); i >= 0 && policyOff {
		expect[i] = "blocked-or-contained"
		_, has := a.contained()
		anything = !has
	}
	contained, has := a.contained()
	if slices.Contains(expect, "blocked-or-contained") && a.Status == http.StatusOK && has && !contained {
		v.fail("not contained")
		return
	}
	for _, one := range expect {
		if one == "ok" && a.Status == http.StatusOK {
			matchResult(v, s, a)
			return
		}
		if matches(one, a, contained) {
			v.Unproven = one == "blocked-or-contained" && a.Status != http.StatusOK && a.Type() != "policy_violation"
			matchStdout(v, s, a)
			return
		}
	}
	if !anything {
		v.fail("the answer is none of %s", strings.Join(s.Expect, ", "))
	}
}

func matches(one string, a *Answer, contained bool) bool {
	if one == "blocked-or-contained" {
		return a.Status == http.StatusBadRequest || contained
	}
	kind, isError := strings.CutPrefix(one, "error:")
	return isError && a.Status == http.StatusBadRequest && slices.Contains(kinds[kind], a.Type())
}

func matchResult(v *Verdict, s *Script, a *Answer) {
	if s.HasResult {
		if d := strictjson.Diff(s.Result, a.object()["result"], 0); d != "" {
			v.fail("result: %s", d)
		}
	}
	matchStdout(v, s, a)
}

func matchStdout(v *Verdict, s *Script, a *Answer) {
	if s.StdoutExact != nil && a.Stdout() != *s.StdoutExact {
		v.fail("stdout is %.300q, not %.300q", a.Stdout(), *s.StdoutExact)
	}
	if s.StdoutPrefix != nil && !strings.HasPrefix(a.Stdout(), *s.StdoutPrefix) {
		v.fail("stdout is %.300q, which does not begin with %.300q", a.Stdout(), *s.StdoutPrefix)
	}
}

var (
	blockedWords = regexp.MustCompile(`\b(eval|exec\w*|compile|__import__|__builtins__|import_module|subprocess|ctypes|_ctypes|multiprocessing|` +
		`pty|posix|_posixsubprocess|system|popen|spawn\w*|posix_spawn\w*|fork\w*|kill\w*|create_subprocess\w*|subprocess_\w+|concurrent|` +
		`code|codeop|runpy|pdb|bdb|cffi|_xxsubinterpreters|startfile|pidfd\w*)\b`)
	strictWords = regexp.MustCompile(`\b(getattr|vars|globals|locals|modules|timeit|__\w+__|f_back|_getframe|gc|inspect|sys)\b`)
)

// usesBlocked is a coarse reading of whether a script uses anything that the
// policy may refuse, by its words. Text outside ASCII may hide a word, so it
// counts.
func usesBlocked(s *Script, policy string) bool {
	if strings.ContainsFunc(s.Source, func(r rune) bool { return r > 127 }) {
		return true
	}
	return blockedWords.MatchString(s.Source) || policy == "strict" && strictWords.MatchString(s.Source)
}
