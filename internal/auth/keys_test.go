package auth_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/python-code-executor/pyexec"
	"github.com/python-code-executor/pyexec/internal/auth"
)

// call asks who sends a request with this Authorization header.
func call(t *testing.T, a *auth.Auth, authorization ...string) (pyexec.Caller, http.Header, error) {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/execute", nil)
	for _, v := range authorization {
		r.Header.Add("Authorization", v)
	}
	h := http.Header{}
	c, err := a.Authenticate(r, h)
	return c, h, err
}

func newAuth(t *testing.T, opts auth.Options) *auth.Auth {
	t.Helper()
	a, err := auth.New(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// addKey makes a key of the caller's and returns what he sends.
func addKey(t *testing.T, path, caller string, change func(*auth.Key)) (id, header string) {
	t.Helper()
	k, secret := auth.NewKey(time.Now())
	if change != nil {
		change(&k)
	}
	if err := auth.AddKey(path, caller, k); err != nil {
		t.Fatal(err)
	}
	return k.ID, "Bearer " + secret.Reveal()
}

func TestKeys(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.yaml")
	_, one := addKey(t, path, "team-a", nil)
	_, two := addKey(t, path, "team-a", nil)
	_, other := addKey(t, path, "team-b", nil)
	_, expired := addKey(t, path, "team-b", func(k *auth.Key) { k.Expires = time.Now().Add(-time.Second) })
	a := newAuth(t, auth.Options{KeysFile: path})
	for header, want := range map[string]string{
		one: "team-a", two: "team-a", other: "team-b", strings.Replace(one, "Bearer ", "bearer   ", 1): "team-a",
	} {
		if c, _, err := call(t, a, header); err != nil || c.Name != want {
			t.Errorf("caller %q, %v; want %q", c.Name, err, want)
		}
	}
	last := one[len(one)-1:]
	wrong := one[:len(one)-1] + map[bool]string{true: "B", false: "A"}[last == "A"]
	for name, headers := range map[string][]string{
		"none": nil, "two": {one, one}, "expired": {expired}, "wrong secret": {wrong}, "shorter": {one[:len(one)-1]},
		"id alone": {one[:len("Bearer pyx_")+10]}, "another's secret": {one[:len("Bearer pyx_")+10] + other[len("Bearer pyx_")+10:]},
		"unknown id": {"Bearer pyx_zzzzzzzzzz_" + strings.Repeat("A", 26)}, "no id": {"Bearer pyx__"}, "no key": {"Bearer "},
		"basic": {"Basic " + one[7:]}, "no scheme": {one[7:]}, "a token": {"Bearer a.b.c"}, "huge": {one + strings.Repeat("A", 9000)},
		"control": {one + "\x01"}, "blank inside": {one + " x"}, "the hash": {"Bearer " + hashOf(t, path)},
	} {
		c, h, err := call(t, a, headers...)
		if pyexec.CodeOf(err) != pyexec.CodeUnauthenticated || !strings.HasPrefix(h.Get("WWW-Authenticate"), "Bearer") {
			t.Errorf("%s: %v, %v", name, err, h)
		}
		if c.Name != "192.0.2.1" {
			t.Errorf("%s: in the log as %q, not by its address", name, c.Name)
		}
	}
}

// TestWhyAKeyIsRefused: the log is told, the client is not, and nothing of the
// key is in either.
func TestWhyAKeyIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.yaml")
	_, good := addKey(t, path, "team-a", nil)
	_, expired := addKey(t, path, "team-b", func(k *auth.Key) { k.Expires = time.Now().Add(-time.Second) })
	a := newAuth(t, auth.Options{KeysFile: path})
	for header, want := range map[string]string{
		good + "A": "the secret is not", expired: "the key of team-b has expired",
		"Bearer pyx_zzzzzzzzzz_" + strings.Repeat("A", 26): "no key has this id",
	} {
		_, _, err := call(t, a, header)
		var e *pyexec.Error
		if !errors.As(err, &e) || e.Message != "the key is not valid" || e.Err == nil || !strings.Contains(e.Err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
			continue
		}
		for part := range strings.SplitSeq(strings.TrimPrefix(header, "Bearer "), "_") {
			if strings.Contains(err.Error(), part) {
				t.Errorf("the log gets %q of the key: %v", part, err)
			}
		}
	}
}

// hashOf is what somebody learns who reads the file.
func hashOf(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "sha256: ")
	return rest[:64]
}

// TestTheFileHasNoKey: neither a key nor its secret part is written down.
func TestTheFileHasNoKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.yaml")
	_, header := addKey(t, path, "a", nil)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if secret := header[strings.LastIndex(header, "_")+1:]; strings.Contains(string(text), secret) {
		t.Errorf("the file has the secret:\n%s", text)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

// TestRevokedAtTheNextRequest changes the file many times within one tick of
// the file system's clock, by rename and in place.
func TestRevokedAtTheNextRequest(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.yaml")
	_, keep := addKey(t, path, "keep", nil)
	a := newAuth(t, auth.Options{KeysFile: path})
	for i := range 50 {
		id, header := addKey(t, path, "a", nil)
		if c, _, err := call(t, a, header); err != nil || c.Name != "a" {
			t.Fatalf("%d: a new key: %q, %v", i, c.Name, err)
		}
		if i%2 == 0 {
			if err := auth.RevokeKey(path, id); err != nil {
				t.Fatal(err)
			}
		} else { // in place and of the same size
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			text = []byte(strings.Replace(string(text), id, strings.Repeat("z", len(id)), 1))
			if err := os.WriteFile(path, text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if _, _, err := call(t, a, header); pyexec.CodeOf(err) != pyexec.CodeUnauthenticated {
			t.Fatalf("%d: a revoked key: %v", i, err)
		}
		if i%2 == 1 {
			if err := auth.RevokeKey(path, strings.Repeat("z", len(id))); err != nil {
				t.Fatal(err)
			}
		}
		if _, _, err := call(t, a, keep); err != nil {
			t.Fatalf("%d: another key: %v", i, err)
		}
	}
}

// TestRevokedWithinOneTick: where the clock of the file system is coarse, the
// file has the same times and size as before.
func TestRevokedWithinOneTick(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.yaml")
	id, header := addKey(t, path, "a", nil)
	a := newAuth(t, auth.Options{KeysFile: path})
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text = []byte(strings.Replace(string(text), id, strings.Repeat("z", len(id)), 1))
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, before.ModTime(), before.ModTime()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := call(t, a, header); pyexec.CodeOf(err) != pyexec.CodeUnauthenticated {
		t.Errorf("a revoked key: %v", err)
	}
}

// TestRevokedUnderAnOldTime: what the time of the content says is the word of
// whoever wrote it.
func TestRevokedUnderAnOldTime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.yaml")
	id, header := addKey(t, path, "a", nil)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-time.Hour)
	write := func(text string) {
		t.Helper()
		if err := errors.Join(os.WriteFile(path, []byte(text), 0o600), os.Chtimes(path, old, old)); err != nil {
			t.Fatal(err)
		}
	}
	write(string(text))
	time.Sleep(2100 * time.Millisecond) // longer than a file is read again in any case
	a := newAuth(t, auth.Options{KeysFile: path})
	if _, _, err := call(t, a, header); err != nil {
		t.Fatal(err)
	}
	write(strings.Replace(string(text), id, strings.Repeat("z", len(id)), 1))
	if _, _, err := call(t, a, header); pyexec.CodeOf(err) != pyexec.CodeUnauthenticated {
		t.Errorf("a revoked key: %v", err)
	}
}

// TestAFaultyFileLetsNobodyIn: the old keys may be what somebody wanted gone.
func TestAFaultyFileLetsNobodyIn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.yaml")
	_, header := addKey(t, path, "a", nil)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	a := newAuth(t, auth.Options{KeysFile: path})
	for name, spoil := range map[string]func() error{
		"not YAML": func() error { return os.WriteFile(path, []byte("callers: ["), 0o600) },
		"a fault":  func() error { return os.WriteFile(path, append([]byte("colour: red\n"), good...), 0o600) },
		"gone":     func() error { return os.Remove(path) },
		"a pipe":   func() error { return errors.Join(os.Remove(path), unix.Mkfifo(path, 0o600)) },
	} {
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		if _, h, err := call(t, a, header); pyexec.CodeOf(err) != pyexec.CodeUnavailable || len(h) > 0 {
			t.Errorf("%s: %v, %v", name, err, h)
		}
		if err := os.RemoveAll(path); err != nil { // a pipe cannot be written over
			t.Fatal(err)
		}
		if err := os.WriteFile(path, good, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := call(t, a, header); err != nil {
			t.Errorf("%s, mended: %v", name, err)
		}
	}
}

const hash = "0000000000000000000000000000000000000000000000000000000000000000"

func TestLimitsOfACaller(t *testing.T) {
	f, err := auth.ParseFile([]byte(`# who may call
callers:
  - name: team-a
    rate: 600/m
    burst: 20
    concurrency: 4
    timeout: 5s
    memory: 256MB
    policy: strict
    isolation: full
    subjects: ["auth0|1"]
    keys:
      - {id: abcd, sha256: `+hash+`, created: 2026-01-02, expires: 2027-01-02T03:04:05Z, note: x}
  - name: team-b
    keys: []
`), auth.Check{})
	if err != nil {
		t.Fatal(err)
	}
	want := auth.File{Callers: []auth.Entry{
		{
			Caller: pyexec.Caller{
				Name: "team-a", Rate: pyexec.Rate{Count: 600, Per: time.Minute, Burst: 20}, Concurrency: 4,
				Timeout: 5 * time.Second, Memory: 256 * pyexec.MiB, Policy: "strict", Isolation: "full",
			},
			Subjects: []string{"auth0|1"},
			Keys: []auth.Key{{
				ID: "abcd", Created: time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC), Expires: time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC), Note: "x",
			}},
		},
		{Caller: pyexec.Caller{Name: "team-b"}},
	}}
	if d := cmp.Diff(want, f); d != "" {
		t.Error(d)
	}
}

func TestEveryFaultOfTheFileIsReported(t *testing.T) {
	_, err := auth.ParseFile([]byte(`callers:
  - name: 1st
    rate: fast
    burst: 0
    concurrency: -1
    timeout: 11s
    memory: 1GB
    policy: off
    isolation: huge
    colour: red
  - name: a
    keys:
      - {id: abcd, sha256: 00}
      - {id: ABCD, sha256: `+hash+`, expires: soon}
      - {id: efgh, sha256: `+hash+`}
      - {id: efgh, sha256: `+hash+`}
      - {sha256: `+hash+`}
    subjects: [s, s, "\u202es"]
  - name: a
    burst: 3
  - policy: [strict]
    egress: a.example.com,b.example.com
  - name: b
    keys: text
people: []
`), auth.Check{Limits: pyexec.DefaultLimits(), Policy: "standard", Allow: &pyexec.Allow{{Host: "a.example.com"}}, Isolation: func(s string) error {
		if s != "huge" {
			t.Errorf("isolation %q", s)
		}
		return os.ErrInvalid
	}})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		`line 2: name: "1st" is not a letter`, `line 3: rate: "fast" is not a rate`, `line 4: burst: "0" is not an integer between`,
		`line 5: concurrency: "-1"`, "line 6: timeout: 11s is more than the server's 10s", "line 7: memory: 1 GiB is more than the server's 512 MiB",
		"line 8: policy: off is less strict than the server's standard", "line 9: isolation: invalid", `line 10: a caller has no "colour"`,
		"line 13: sha256: is not the 64", `line 14: id: "ABCD"`, `line 14: expires: "soon" is not a date`, `line 16: id: there are two keys "efgh"`,
		"line 17: a key needs id and sha256", `line 18: subjects: "s" belongs to two`, `line 18: subjects: "\u202es" is not 1 to 255 bytes`, `line 19: name: there are two callers "a"`,
		"line 19: burst: there is no rate", "line 21: policy must be a word", "line 22: egress: b.example.com is not within", "line 24: keys must be a list", `line 25: the file has no "people"`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error lacks %s", want)
		}
	}
	if n := strings.Count(err.Error(), "\n") + 1; n != 22 {
		t.Errorf("%d problems, want 22:\n%v", n, err)
	}
}

// TestOneDocument: callers of a second one would be passed over in silence.
func TestOneDocument(t *testing.T) {
	for text, want := range map[string]string{
		"":                                "",
		"# nobody yet\n":                  "",
		"---\ncallers: []\n...\n":         "",
		"callers: []\n---\ncallers: []\n": "line 2: a second document",
		"callers: []\n---\n":              "line 2: a second document",
		"callers: []\n---\ncallers: [":    "line 3: ",
	} {
		_, err := auth.ParseFile([]byte(text), auth.Check{})
		if err == nil && want != "" || err != nil && (want == "" || !strings.HasPrefix(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// TestEditingKeepsTheRest: comments and settings survive pyexec keys.
func TestEditingKeepsTheRest(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.yaml")
	const before = "# our customers\ncallers:\n  # the first\n  - name: a # pays\n    rate: 10/s\n"
	if err := os.WriteFile(path, []byte(before), 0o640); err != nil {
		t.Fatal(err)
	}
	id, _ := addKey(t, path, "a", nil)
	addKey(t, path, "b", nil)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"# our customers\n", "# the first\n", "name: a # pays\n", "rate: 10/s\n", "name: b\n"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("lacks %q:\n%s", want, text)
		}
	}
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v", info.Mode())
	}
	if err := auth.RevokeKey(path, id); err != nil {
		t.Error(err)
	}
	if err := auth.RevokeKey(path, id); err == nil {
		t.Error("a key can be revoked twice")
	}
	f, err := auth.ReadFile(path)
	if err != nil || len(f.Callers) != 2 || len(f.Callers[0].Keys) != 0 || len(f.Callers[1].Keys) != 1 {
		t.Errorf("%+v, %v", f, err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "*")); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
}

func TestSecretsAreNotShown(t *testing.T) {
	_, secret := auth.NewKey(time.Now())
	var b strings.Builder
	for _, line := range shown(secret) {
		b.WriteString(line)
	}
	if strings.Contains(b.String(), secret.Reveal()[4:]) || !strings.Contains(b.String(), "[hidden]") {
		t.Errorf("shown: %s", b.String())
	}
}

func TestNewRefuses(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.yaml")
	if err := os.WriteFile(empty, []byte("callers: []\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, opts := range map[string]auth.Options{
		"no file":  {KeysFile: "/nowhere"},
		"a pipe":   {KeysFile: pipe},
		"a folder": {KeysFile: filepath.Dir(pipe)},
		"no key":   {KeysFile: empty},
		"no URL":   {OIDC: auth.OIDC{Issuer: "id.example.com", Audience: "a"}},
		"no https": {OIDC: auth.OIDC{Issuer: "http://id.example.com", Audience: "a"}},
		"password": {OIDC: auth.OIDC{Issuer: "https://u:p@id.example.com", Audience: "a"}},
		"audience": {OIDC: auth.OIDC{Issuer: "https://id.example.com"}},
	} {
		if _, err := auth.New(t.Context(), opts); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}
