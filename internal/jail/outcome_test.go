package jail

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	pyexec "github.com/python-code-executor/pyexec"
)

// TestOutcomes is each way in which a run can end, in one slot after the other.
func TestOutcomes(t *testing.T) {
	j := testJail(t, nil)
	s := testSlot(t, j, Base)
	status := func(n int) *int { return &n }
	for _, tc := range []struct {
		name, body string
		value      string
		want       pyexec.Failure // without its texts
	}{
		{name: "value", body: "return {'a': [1, 'é']}", value: `{"a":[1,"é"]}`},
		{name: "none", body: "return None", value: "null"},
		{name: "exception", body: "1/0", want: pyexec.Failure{Type: pyexec.Exception, Exception: "ZeroDivisionError", Line: 2}},
		{name: "exit", body: "import os; os._exit(3)", want: pyexec.Failure{Type: pyexec.Exited, ExitStatus: status(3)}},
		{name: "exit with 0", body: "import os; os._exit(0)", want: pyexec.Failure{Type: pyexec.Exited, ExitStatus: status(0)}},
		{name: "sys.exit", body: "import sys; sys.exit(4)", want: pyexec.Failure{Type: pyexec.Exited, ExitStatus: status(4)}},
		{name: "signal", body: "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", want: pyexec.Failure{Type: pyexec.Killed, Signal: "SIGSEGV"}},
		{name: "kill", body: "import os, signal; os.kill(os.getpid(), signal.SIGKILL)", want: pyexec.Failure{Type: pyexec.Killed, Signal: "SIGKILL"}},
		{name: "timeout", body: "while True: pass", want: pyexec.Failure{Type: pyexec.Timeout, LimitMS: 500}},
		{name: "closed pipe", body: "import os; os.closerange(0, 100)\n    while True: pass", want: pyexec.Failure{Type: pyexec.Timeout, LimitMS: 500}},
		{name: "forged frame", body: "import os; os.write(3, b'X' * 100)\n    while True: pass", want: pyexec.Failure{Type: pyexec.InvalidResult, Path: "$"}},
		{name: "too large a result", body: "return 'x' * (9 << 20)", want: pyexec.Failure{Type: pyexec.OutputLimit, LimitBytes: 8 << 20}},
		{name: "too large a file", body: "open('f', 'wb').write(b'x' * (65 << 20))", want: pyexec.Failure{Type: pyexec.DiskLimit, LimitBytes: 64 << 20}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			timeout := 10 * time.Second
			if strings.Contains(tc.body, "while True") {
				timeout = 500 * time.Millisecond
			}
			res, err := turn(t, s, pyexec.Request{Script: "def main():\n    " + tc.body + "\n    return 0\n", Timeout: timeout})
			if err != nil {
				t.Fatal(err)
			}
			if tc.value != "" {
				if res.Failure != nil || string(res.Value) != tc.value {
					t.Fatalf("%s, %+v, want %s", res.Value, res.Failure, tc.value)
				}
				return
			}
			if res.Failure == nil {
				t.Fatalf("no failure: %s", res.Value)
			}
			got := *res.Failure
			got.Message, got.Hint, got.Traceback, got.SourceLine = "", "", "", ""
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	if res, err := turn(t, s, hello); err != nil || res.Failure != nil {
		t.Errorf("the slot's next child: %+v, %v", res.Failure, err)
	}
}

func TestOutputIsCutBetweenCharacters(t *testing.T) {
	for limit := pyexec.Bytes(20); limit < 24; limit++ {
		j := testJail(t, func(o *Options) { o.Limits.Stdout = limit })
		s := testSlot(t, j, Base)
		res, err := turn(t, s, pyexec.Request{Script: "def main():\n    print('€' * 1000, end='')\n    return 1"})
		if err != nil || res.Failure != nil {
			t.Fatalf("%+v, %v", res.Failure, err)
		}
		text, mark, found := strings.Cut(res.Stdout, "\n")
		if !found || !utf8.ValidString(res.Stdout) || strings.Trim(text, "€") != "" || len(text) > int(limit) || len(text) < int(limit)-2 {
			t.Errorf("limit %d: %q", limit, res.Stdout)
		}
		if dropped := int64(3000 - len(text)); res.Truncated.Stdout != dropped || !strings.Contains(mark, "bytes dropped") {
			t.Errorf("limit %d: %d dropped, want %d; %q", limit, res.Truncated.Stdout, dropped, mark)
		}
		s.Close()
		j.Close()
	}
}

func TestOutputThatIsNoText(t *testing.T) {
	s := testSlot(t, testJail(t, nil), Base)
	res, err := turn(t, s, pyexec.Request{Script: "import os\ndef main():\n    os.write(1, b'a\\xff\\xfeb\\xe2\\x82')\n    return 1"})
	if err != nil || res.Stdout != "a\uFFFDb\uFFFD" {
		t.Errorf("%q, %v", res.Stdout, err)
	}
}

func TestClientThatLeaves(t *testing.T) {
	s := testSlot(t, testJail(t, nil), Base)
	own := &pyexec.Error{Code: pyexec.CodeUnavailable, Message: "the end"}
	for _, cause := range []error{nil, own} {
		wait, stop := context.WithTimeout(t.Context(), testPatience)
		if err := s.Prepare(wait); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(50*time.Millisecond, func() { cancel(cause) })
		began := time.Now()
		_, err := s.Run(ctx, pyexec.Request{
			Script: "def main():\n    while True: pass", Stdin: strings.Repeat("x", 1<<20), Timeout: time.Minute, Memory: 128 * pyexec.MiB,
		})
		if cause == nil && pyexec.CodeOf(err) != pyexec.CodeCanceled || cause != nil && !errors.Is(err, cause) {
			t.Errorf("error: %v", err)
		}
		if d := time.Since(began); d > 5*time.Second {
			t.Errorf("it took %v", d)
		}
		if err := s.Settle(wait); err != nil {
			t.Errorf("settle: %v", err)
		}
		stop()
	}
}

// What one run leaves, the next does not find: at each level that can be had.
func TestNothingPassesToTheNextRun(t *testing.T) {
	for _, level := range Levels {
		t.Run(string(level), func(t *testing.T) {
			j := testJail(t, func(o *Options) { o.Unsafe.Level = level })
			s := testSlot(t, j, Base)
			leave := "import os\ndef main():\n" +
				"    open('left', 'w').write('x'); os.makedirs('a/b'); os.symlink('/etc/passwd', 'a/link'); os.environ['LEFT'] = '1'\n" +
				"    for _ in range(1200):\n        os.mkdir('d' * 9); os.chdir('d' * 9)\n" +
				"    import tempfile; open(tempfile.gettempdir() + '/left', 'w').write('x')\n    return 1"
			if res, err := turn(t, s, pyexec.Request{Script: leave}); err != nil || res.Failure != nil {
				t.Fatalf("%+v, %v", res.Failure, err)
			}
			find := "import os, tempfile\ndef main(): return [os.listdir('.'), 'LEFT' in os.environ, os.path.exists(tempfile.gettempdir() + '/left')]"
			if res, err := turn(t, s, pyexec.Request{Script: find}); err != nil || string(res.Value) != "[[],false,false]" {
				t.Errorf("%s, %+v, %v", res.Value, res.Failure, err)
			}
		})
	}
}
