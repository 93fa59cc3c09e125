package config_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/python-code-executor/pyexec"
	"github.com/python-code-executor/pyexec/internal/config"
)

// source is an installation: bin/pyexec with .pyexec beside bin, in which
// Python says that it has the given version.
func source(t *testing.T, version string, args ...string) config.Source {
	t.Helper()
	root := t.TempDir()
	write(t, filepath.Join(root, ".pyexec/venv/bin/python3"), "#!/bin/sh\necho "+version+"\n")
	write(t, filepath.Join(root, ".pyexec/bin/nsjail"), "")
	return config.Source{Args: args, Executable: filepath.Join(root, "bin/pyexec"), Env: []string{"HOME=/", "PATH=/nowhere"}}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
}

func TestDefaults(t *testing.T) {
	from := source(t, "3 11")
	got, err := config.Load(from)
	if err != nil {
		t.Fatal(err)
	}
	root := filepath.Dir(filepath.Dir(from.Executable))
	want := config.Config{
		Addr: "127.0.0.1:8080", Policy: "standard", Timeout: 10 * time.Second, Memory: 512 * pyexec.MiB,
		Concurrency: 2 * runtime.GOMAXPROCS(0), Queue: 64, MaxWait: 10 * time.Second, Grace: 12 * time.Second,
		RequireIsolation: []string{"landlock"},
		Python:           filepath.Join(root, ".pyexec/venv/bin/python3"),
		Nsjail:           filepath.Join(root, ".pyexec/bin/nsjail"),
		SandboxUID:       64646, ZygoteMaxRuns: 10_000, ZygoteMaxAge: time.Hour,
		MetricsAddr: "auto", Playground: true, LogFormat: "auto", LogLevel: "info",
		EgressConnections: 32, EgressRequests: 1000, EgressBytes: 64 * pyexec.MiB, EgressTime: time.Minute,
		OIDCClaim: "sub",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(pyexec.DefaultLimits(), got.Limits()); d != "" {
		t.Errorf("the default limits are not those of the contract:\n%s", d)
	}
}

// TestVariablesOfClients: whoever calls a server may serve from the same shell.
func TestVariablesOfClients(t *testing.T) {
	from := source(t, "3 11")
	from.Env = append(from.Env, config.ServerVariable+"=http://x", config.KeyVariable+"=k")
	if _, err := config.Load(from); err != nil {
		t.Error(err)
	}
}

func TestCloudRunHasAShorterGrace(t *testing.T) {
	from := source(t, "3 11")
	from.Env = append(from.Env, "K_SERVICE=python-code-executor")
	if got, err := config.Load(from); err != nil || got.Grace != 8*time.Second {
		t.Errorf("grace %v, %v", got.Grace, err)
	}
	from.Args = []string{"--grace=3s"}
	if got, err := config.Load(from); err != nil || got.Grace != 3*time.Second {
		t.Errorf("with --grace=3s: grace %v, %v", got.Grace, err)
	}
}

func TestFlagBeatsVariableBeatsFile(t *testing.T) {
	from := source(t, "3 12", "--queue=1", "--nsjail", "none", "--unsafe-disable-layers=a,b_c")
	file := filepath.Join(t.TempDir(), "pyexec.yaml")
	write(t, file, "queue: 3\nmax-wait: 3s\ntimeout: 3s\npolicy: off\nrequire-isolation: [pid_namespace, seccomp]\n")
	from.Env = append(from.Env, "PYEXEC_QUEUE=2", "PYEXEC_MAX_WAIT=2s", "PYEXEC_CONFIG="+file)
	got, err := config.Load(from)
	if err != nil {
		t.Fatal(err)
	}
	if got.Queue != 1 || got.MaxWait != 2*time.Second || got.Timeout != 3*time.Second || got.Policy != "off" || got.Nsjail != "" {
		t.Errorf("got %+v", got)
	}
	if d := cmp.Diff([]string{"pid_namespace", "seccomp"}, got.RequireIsolation); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"a", "b_c"}, got.UnsafeDisableLayers); d != "" {
		t.Error(d)
	}
}

func TestEveryProblemIsReported(t *testing.T) {
	from := source(t, "3 9", "--timeout=fast", "--nonsense", "value", "--queue=-1", "extra", "--nsjail=/nowhere/nsjail")
	file := filepath.Join(t.TempDir(), "pyexec.yaml")
	write(t, file, "memory: 1KB\ncolour: red\npolicy: {a: b}\n")
	from.Env = append(from.Env, "PYEXEC_LOG_LEVEL=loud", "PYEXEC_TIMEOUTS=1s", "PYEXEC_CONFIG="+file, "PORT=http")
	_, err := config.Load(from)
	problems(t, err,
		`timeout (--timeout): "fast" is not a duration`,
		"not defined: -nonsense",
		"queue (--queue): -1 is not between 0 and 100000",
		`unexpected argument "extra"`,
		"nsjail: stat /nowhere/nsjail",
		"memory ("+file+", line 1): 1 KiB is not between 64 MiB",
		`line 2: there is no setting "colour"`,
		"line 3: policy: must be a word or a list",
		`log-level (PYEXEC_LOG_LEVEL): "loud" is not one of`,
		"PYEXEC_TIMEOUTS: there is no such setting",
		`PORT: "http" is not a port`,
		`is version "3 9", not 3.11 or later`,
	)
}

// TestRulesBesideAFaultyValue: a value that is wrong hides no rule between
// others, and what would only follow from it is not said.
func TestRulesBesideAFaultyValue(t *testing.T) {
	all := []string{"--require-auth", "--oidc-audience=x", "--tls-cert=a", "--burst=3"}
	rules := []string{"require-auth: there is neither", "oidc-issuer: is needed with oidc-audience", "tls-cert, tls-key: one is no use", "burst: there is no rate"}
	for _, tt := range []struct {
		file string
		args []string
		want []string
	}{
		{"", all, rules},
		{"", append(all, "--timeout=abc"), append(rules, "timeout (--timeout)")},
		{"", []string{"--burst=3", "--rate=fast"}, []string{"rate (--rate)"}},
		{"tls-key: {a: b}", []string{"--tls-cert=a"}, []string{"line 1: tls-key"}},
		{"tls-cert: {a: b}", []string{"--tls-cert=a"}, []string{"line 1: tls-cert", "tls-cert, tls-key: one is no use"}},
		{"oidc-issuer: {a: b}", []string{"--oidc-audience=a", "--require-auth"}, []string{"line 1: oidc-issuer"}},
		{"", []string{"--oidc-claim=groups"}, []string{"oidc-claim: has no effect without oidc-issuer"}},
		{"", []string{"--oidc-claim="}, []string{"oidc-claim (--oidc-claim): is empty"}},
		{"", []string{"--require-isolation=A,B"}, []string{`require-isolation (--require-isolation): "A"`, `require-isolation (--require-isolation): "B"`}},
		{"", []string{"--cors-origins=x y", "--allowed-hosts=A:1"}, []string{`cors-origins (--cors-origins): "x"`, `cors-origins (--cors-origins): "y"`, `allowed-hosts (--allowed-hosts): "A:1"`}},
	} {
		from := source(t, "3 11", tt.args...)
		if tt.file != "" {
			file := filepath.Join(t.TempDir(), "pyexec.yaml")
			write(t, file, tt.file)
			from.Env = append(from.Env, "PYEXEC_CONFIG="+file)
		}
		_, err := config.Load(from)
		problems(t, err, tt.want...)
	}
}

// TestFile: all that is wrong with one is said, and nothing of it passed over.
func TestFile(t *testing.T) {
	for text, want := range map[string][]string{
		"timeout: 5s\n---\ntimeout: 6s\nbogus: 1\n": {"line 2: a second document begins"},
		"bogus: 1\n---\n":  {"a second document begins", `line 1: there is no setting "bogus"`},
		"bogus: 1\n---\n]": {"did not find expected node", `line 1: there is no setting "bogus"`},
		"timeout: 5s\nbogus: 1\nqueue: [1,2]\nmemory: {a: 1}\ntimeout: 6s\n": {
			`line 2: there is no setting "bogus"`, `queue (`, "line 4: memory: must be a word", "line 5: timeout is there twice",
		},
		"- timeout\n": {"line 1: must be settings and their values"},
		"timeout":     {"line 1: must be settings and their values"},
		"a: [":        {"yaml: line 1"},
	} {
		file := filepath.Join(t.TempDir(), "pyexec.yaml")
		write(t, file, text)
		_, err := config.Load(source(t, "3 11", "--config="+file))
		problems(t, err, want...)
	}
	for _, text := range []string{"", "# nothing\n", "---\n", "---\ntimeout: 5s\n...\n", "%YAML 1.1\n---\ntimeout: 5s"} {
		file := filepath.Join(t.TempDir(), "pyexec.yaml")
		write(t, file, text)
		if _, err := config.Load(source(t, "3 11", "--config="+file)); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// problems checks that err names these and no others, a line each.
func problems(t *testing.T, err error, want ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error; want %q", want)
		return
	}
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("the error lacks %s:\n%v", w, err)
		}
	}
	if n := strings.Count(err.Error(), "\n") + 1; n != len(want) {
		t.Errorf("%d problems, want %d:\n%v", n, len(want), err)
	}
}

func TestPort(t *testing.T) {
	tests := []struct {
		env  []string
		args []string
		want string
	}{
		{[]string{"PORT=9000"}, nil, "127.0.0.1:9000"},
		{[]string{"PORT=9000", "PYEXEC_ADDR=:8080"}, nil, ":9000"},
		{[]string{"PORT=9000"}, []string{"--addr=:1"}, ":1"},
		{[]string{"PORT="}, nil, "127.0.0.1:8080"},
		{nil, []string{"--addr=[::1]:0"}, "[::1]:0"},
	}
	for _, tt := range tests {
		from := source(t, "3 11", tt.args...)
		from.Env = append(from.Env, tt.env...)
		got, err := config.Load(from)
		if err != nil || got.Addr != tt.want {
			t.Errorf("%v %v: address %q, %v; want %q", tt.env, tt.args, got.Addr, err, tt.want)
		}
	}
}

func TestRefused(t *testing.T) {
	for _, arg := range []string{
		"--addr=localhost", "--addr=:99999", "--addr=:080", "--addr=:", "--policy=", "--timeout=0s", "--timeout=-1s", "--memory=63MB", "--concurrency=1.5",
		"--require-isolation=", "--require-isolation=full,seccomp", "--require-isolation=A B",
		"--sandbox-uid=0", "--python=/nowhere", "--python=/", "--config=/nowhere", "--log-format=xml",
	} {
		if _, err := config.Load(source(t, "3 11", arg)); err == nil {
			t.Errorf("%s is accepted", arg)
		}
	}
}

func TestPythonOfPathIsUsedWithoutSetup(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "python3"), "#!/bin/sh\necho 3 13\n")
	got, err := config.Load(config.Source{Executable: "/nowhere/bin/pyexec", Env: []string{"PATH=relative:" + dir}})
	if err != nil || got.Python != filepath.Join(dir, "python3") || got.Nsjail != "" {
		t.Errorf("python %q, nsjail %q, %v", got.Python, got.Nsjail, err)
	}
	if _, err := config.Load(config.Source{Executable: "/nowhere/bin/pyexec"}); err == nil {
		t.Error("a server without Python is accepted")
	}
}

func TestTheTableHasEverySetting(t *testing.T) {
	if _, err := config.Load(config.Source{Args: []string{"--help"}}); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("--help: %v", err)
	}
	fields := reflect.TypeFor[config.Config]().NumField()
	all := config.Settings()
	if len(all) != fields {
		t.Errorf("the table has %d settings, want %d", len(all), fields)
	}
	for _, s := range all {
		if s.Help == "" || s.Kind == "" && s.Default != "false" {
			t.Errorf("%s has help %q and kind %q", s.Name, s.Help, s.Kind)
		}
		for _, v := range s.Values {
			if _, err := config.Load(source(t, "3 11", "--"+s.Name+"="+v)); err != nil {
				t.Errorf("completion offers --%s=%s: %v", s.Name, v, err)
			}
		}
	}
	if got := strings.Count(config.Config{}.String(), "\n"); got != fields {
		t.Errorf("String has %d settings, want %d", got, fields)
	}
}

// TestStringIsRead: what a file says in the form of String is what was set,
// whatever YAML thinks of its characters.
func TestStringIsRead(t *testing.T) {
	hard := []string{
		"*", "*.example.com", "[::]:8080", "a: b # c", "/etc/a #b.yaml", "#a", "a:", "&a", "!a", "|", ">", "%a", "@a", "`a", "- a", "? a", "{a", "[a", "a]",
		"'", `"a"`, `a\b`, "null", "~", "off", "1e3", "0x10", "---", "...", " a ", "a\nb", "\na\n\n", "a\tb", "\r", "\x01", "\u0085", "\u2028", "\ufeff", "ü, 語", strings.Repeat("a b ", 60), "",
	}
	with := map[string][]string{ // what a setting is not accepted without
		"tls-cert": {"--tls-key=k"}, "tls-key": {"--tls-cert=c"},
		"oidc-audience": {"--oidc-issuer=i"}, "oidc-issuer": {"--oidc-audience=a"}, "oidc-scopes": {"--oidc-audience=a", "--oidc-issuer=i"},
		"oidc-claim": {"--oidc-audience=a", "--oidc-issuer=i"}, "burst": {"--rate=1/s"},
	}
	free := []string{"audit-log", "keys-file", "oidc-issuer", "oidc-audience", "oidc-claim", "tls-cert", "tls-key"} // take any text
	root := t.TempDir()
	write(t, filepath.Join(root, ".pyexec/venv/bin/python3"), "")
	write(t, filepath.Join(root, ".pyexec/venv/pyvenv.cfg"), "version = 3.11.2\n") // spares a process each time
	for _, s := range config.Settings() {
		values := hard
		if s.Name == "python" || s.Name == "nsjail" {
			values = nil
			for _, v := range hard {
				if v != "" && v != "..." {
					file := filepath.Join(t.TempDir(), v+"x")
					write(t, file, "#!/bin/sh\necho 3 11\n")
					values = append(values, file)
				}
			}
		}
		for _, v := range values {
			from := config.Source{Args: append(with[s.Name], "--"+s.Name+"="+v), Executable: filepath.Join(root, "bin/pyexec")}
			c, err := config.Load(from)
			if err != nil {
				if slices.Contains(free, s.Name) && v != "" || len(values) != len(hard) {
					t.Errorf("%s=%q: %v", s.Name, v, err)
				}
				continue
			}
			file := filepath.Join(t.TempDir(), "pyexec.yaml")
			write(t, file, c.String())
			from.Args = []string{"--config=" + file}
			again, err := config.Load(from)
			if d := cmp.Diff(c, again, cmpopts.EquateEmpty()); err != nil || d != "" {
				t.Errorf("%s=%q, read from\n%s: %v\n%s", s.Name, v, c, err, d)
			}
		}
	}
	for name, v := range map[string]string{"cors-origins": "*", "allowed-hosts": "*", "egress": "*.example.com,public:8080", "addr": "[::]:8080", "metrics-addr": "[::1]:0"} {
		c, err := config.Load(source(t, "3 11", "--"+name+"="+v))
		if want := name + ": '" + v + "'\n"; err != nil || !strings.Contains(c.String(), want) {
			t.Errorf("%v; it lacks %q:\n%s", err, want, c)
		}
	}
	if _, err := config.Load(source(t, "3 11", "--keys-file=a\xff")); err == nil {
		t.Error("a text that no file could say is accepted")
	}
}

func TestParseBytes(t *testing.T) {
	for s, want := range map[string]pyexec.Bytes{
		"0": 0, "65536": 65536, "512MB": 512 * pyexec.MiB, "512 MiB": 512 * pyexec.MiB, "1g": pyexec.GiB, "3k": 3 * pyexec.KiB, "7 B": 7,
	} {
		if got, err := config.ParseBytes(s); err != nil || got != want {
			t.Errorf("ParseBytes(%q) is %d, %v; want %d", s, got, err, want)
		}
	}
	for _, s := range []string{"", "MB", "-1MB", "1.5GB", "1TB", "1  MB", "MB1", "1MB ", "9223372036854775807G", "99999999999999999999"} {
		if got, err := config.ParseBytes(s); err == nil {
			t.Errorf("ParseBytes(%q) is %d, want an error", s, got)
		}
	}
}

// FuzzParseBytes: never negative, and what is written is read as the same.
func FuzzParseBytes(f *testing.F) {
	for _, s := range []string{"512MB", "1 GiB", "0", "9223372036854775807", "4611686018427387904K", "1e3", "٣MB"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		b, err := config.ParseBytes(s)
		if err != nil {
			return
		}
		if b < 0 {
			t.Fatalf("ParseBytes(%q) is %d", s, b)
		}
		if again, err := config.ParseBytes(b.String()); err != nil || again != b {
			t.Fatalf("%q is %v, which is read as %v, %v", s, b, again, err)
		}
	})
}
