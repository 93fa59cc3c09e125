package auth_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/google/go-cmp/cmp"

	"github.com/python-code-executor/pyexec"
	"github.com/python-code-executor/pyexec/internal/auth"
)

// provider is an OpenID provider: discovery, keys, and tokens.
type provider struct {
	*httptest.Server

	mu     sync.Mutex
	keys   []jose.JSONWebKey // that are published
	down   bool
	jwks   http.HandlerFunc // instead of the keys
	issuer string           // that discovery claims; "" for the truth

	fetches atomic.Int32 // of the keys
}

func newProvider(t *testing.T, keys ...jose.JSONWebKey) *provider {
	p := &provider{keys: keys}
	p.Server = httptest.NewServer(p)
	t.Cleanup(p.Close)
	return p
}

func (p *provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	issuer := p.issuer
	if issuer == "" {
		issuer = p.URL
	}
	switch {
	case p.down:
		http.Error(w, "down", http.StatusBadGateway)
	case r.URL.Path == "/.well-known/openid-configuration":
		_ = json.NewEncoder(w).Encode(map[string]any{
			"issuer": issuer, "jwks_uri": p.URL + "/keys", "authorization_endpoint": p.URL + "/a", "token_endpoint": p.URL + "/t",
			// A careless provider: what it lists beside RS256 and ES256 must not be taken.
			"id_token_signing_alg_values_supported": []string{"RS256", "ES256", "HS256", "none"},
		})
	case r.URL.Path == "/keys":
		p.fetches.Add(1)
		if p.jwks != nil {
			p.jwks(w, r)
			return
		}
		public := jose.JSONWebKeySet{}
		for _, k := range p.keys {
			public.Keys = append(public.Keys, k.Public())
		}
		_ = json.NewEncoder(w).Encode(public)
	default:
		http.NotFound(w, r)
	}
}

func (p *provider) set(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
}

func rsaKey(t *testing.T, id string) jose.JSONWebKey {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return jose.JSONWebKey{Key: k, KeyID: id, Algorithm: "RS256", Use: "sig"}
}

// claims are those of a good token, with changes; nil takes one away.
func (p *provider) claims(changes map[string]any) map[string]any {
	c := map[string]any{
		"iss": p.URL, "aud": []string{"other", "pyexec"}, "sub": "alice", "azp": "app",
		"exp": time.Now().Add(time.Minute).Unix(), "iat": time.Now().Unix(), "scope": "openid run:scripts",
	}
	maps.Copy(c, changes)
	maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
	return c
}

func sign(t *testing.T, alg jose.SignatureAlgorithm, key any, opts *jose.SignerOptions, claims map[string]any) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, opts)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return "Bearer " + text
}

func (p *provider) options() auth.OIDC {
	return auth.OIDC{Issuer: p.URL, Audience: "pyexec", Scopes: []string{"run:scripts"}}
}

func TestTokens(t *testing.T) {
	key, stranger := rsaKey(t, "k1"), rsaKey(t, "k1")
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ec := jose.JSONWebKey{Key: curve, KeyID: "k2", Algorithm: "ES256", Use: "sig"}
	p := newProvider(t, key, ec)
	a := newAuth(t, auth.Options{OIDC: p.options()})
	rs := func(changes map[string]any) string { return sign(t, jose.RS256, key, nil, p.claims(changes)) }

	for name, token := range map[string]string{
		"plain": rs(nil), "audience alone": rs(map[string]any{"aud": "pyexec"}), "ES256": sign(t, jose.ES256, ec, nil, p.claims(nil)),
		"scp of Azure": rs(map[string]any{"scope": nil, "scp": "run:scripts x"}), "scp of Okta": rs(map[string]any{"scope": nil, "scp": []string{"run:scripts"}}),
		"at+jwt": sign(t, jose.RS256, key, (&jose.SignerOptions{}).WithType("at+jwt"), p.claims(nil)),
	} {
		if c, _, err := call(t, a, token); err != nil || c.Name != "oidc:alice" {
			t.Errorf("%s: caller %q, %v", name, c.Name, err)
		}
	}

	public, err := x509.MarshalPKIXPublicKey(key.Public().Key)
	if err != nil {
		t.Fatal(err)
	}
	pemKey := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})
	jwk, err := json.Marshal(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	good := rs(nil)
	parts := strings.Split(strings.TrimPrefix(good, "Bearer "), ".")
	b64 := base64.RawURLEncoding.EncodeToString
	with := func(header, payload, signature string) string {
		return "Bearer " + header + "." + payload + "." + signature
	}
	forged, err := json.Marshal(p.claims(map[string]any{"sub": "bob"}))
	if err != nil {
		t.Fatal(err)
	}
	past := time.Now().Add(-time.Second).Unix()
	for name, token := range map[string]string{
		"audience":                  rs(map[string]any{"aud": "other"}),
		"no audience":               rs(map[string]any{"aud": nil}),
		"issuer":                    rs(map[string]any{"iss": "https://evil.example"}),
		"issuer with a slash":       rs(map[string]any{"iss": p.URL + "/"}),
		"expiry":                    rs(map[string]any{"exp": past}),
		"no expiry":                 rs(map[string]any{"exp": nil}),
		"not yet":                   rs(map[string]any{"nbf": time.Now().Add(time.Hour).Unix()}),
		"no owner":                  rs(map[string]any{"sub": nil}),
		"empty owner":               rs(map[string]any{"sub": ""}),
		"owner is no text":          rs(map[string]any{"sub": 7}),
		"owner with a line end":     rs(map[string]any{"sub": "a\nb"}),
		"owner on two lines":        rs(map[string]any{"sub": "a\u2028b"}),
		"owner written backwards":   rs(map[string]any{"sub": "\u202eecila"}),
		"owner with nothing in it":  rs(map[string]any{"sub": "al\u200bice"}),
		"owner with a C1 control":   rs(map[string]any{"sub": "a\u009bb"}),
		"algorithm":                 sign(t, jose.RS512, jose.JSONWebKey{Key: key.Key, KeyID: "k1"}, nil, p.claims(nil)),
		"PS256":                     sign(t, jose.PS256, jose.JSONWebKey{Key: key.Key, KeyID: "k1"}, nil, p.claims(nil)),
		"another's key":             sign(t, jose.RS256, stranger, nil, p.claims(nil)),
		"another's key, in header":  sign(t, jose.RS256, stranger, &jose.SignerOptions{EmbedJWK: true}, p.claims(nil)),
		"unknown key id":            sign(t, jose.RS256, jose.JSONWebKey{Key: stranger.Key, KeyID: "k9"}, nil, p.claims(nil)),
		"HS256 with the PEM":        sign(t, jose.HS256, jose.JSONWebKey{Key: pemKey, KeyID: "k1"}, nil, p.claims(nil)),
		"HS256 with the DER":        sign(t, jose.HS256, jose.JSONWebKey{Key: public, KeyID: "k1"}, nil, p.claims(nil)),
		"HS256 with the JWK":        sign(t, jose.HS256, jose.JSONWebKey{Key: jwk, KeyID: "k1"}, nil, p.claims(nil)),
		"none":                      with(b64([]byte(`{"alg":"none"}`)), parts[1], ""),
		"None":                      with(b64([]byte(`{"alg":"None","kid":"k1"}`)), parts[1], parts[2]),
		"no signature":              with(parts[0], parts[1], ""),
		"changed payload":           with(parts[0], b64(forged), parts[2]),
		"changed signature":         with(parts[0], parts[1], parts[2][:20]+"A"+parts[2][21:]+"A"),
		"critical header":           with(b64([]byte(`{"alg":"RS256","kid":"k1","crit":["x"],"x":1}`)), parts[1], parts[2]),
		"two parts":                 "Bearer " + parts[0] + "." + parts[1],
		"JSON serialization":        `Bearer {"payload":"` + parts[1] + `"}`,
		"an API key without a file": "Bearer pyx_abcdefghij_" + strings.Repeat("A", 26),
	} {
		c, h, err := call(t, a, token)
		if pyexec.CodeOf(err) != pyexec.CodeUnauthenticated || !strings.HasPrefix(h.Get("WWW-Authenticate"), "Bearer") {
			t.Errorf("%s: caller %q, %v, %v", name, c.Name, err, h)
		}
		if e, ok := err.(*pyexec.Error); ok && (strings.Contains(e.Message, p.URL) || strings.Contains(e.Message, "oidc:")) { //nolint:errorlint // as it is
			t.Errorf("%s: the message shows %q", name, e.Message)
		}
	}
	for name, token := range map[string]string{
		"another scope": rs(map[string]any{"scope": "openid"}), "no scope": rs(map[string]any{"scope": nil}),
		"part of it": rs(map[string]any{"scope": "run:script run:scripts2"}),
	} {
		_, h, err := call(t, a, token)
		if pyexec.CodeOf(err) != pyexec.CodeForbidden || h.Get("WWW-Authenticate") != `Bearer error="insufficient_scope", scope="run:scripts"` {
			t.Errorf("%s: %v, %v", name, err, h)
		}
	}
}

// TestAgeOfAToken: the client is told what is wrong with it, which another
// token mends.
func TestAgeOfAToken(t *testing.T) {
	key := rsaKey(t, "k1")
	p := newProvider(t, key)
	a := newAuth(t, auth.Options{OIDC: p.options()})
	past := time.Now().Add(-time.Second).Unix()
	for _, tt := range []struct {
		exp  any
		want string
	}{
		{past, "the token has expired"},
		{float64(past) + 0.5, "the token has expired"},
		{strconv.FormatInt(past, 10), "the token has expired"},
		{-1, "the token has expired"},
		{nil, "the token has no claim exp"},
		{json.RawMessage("null"), "the token's claim exp is no time"},
		{json.RawMessage("1e300"), "the token's claim exp is no time"},
		{json.RawMessage("1e999"), "the token's claim exp is no time"},
		{json.RawMessage("9223372036854775808"), "the token's claim exp is no time"},
		{"soon", "the token's claim exp is no time"},
		{true, "the token's claim exp is no time"},
	} {
		_, _, err := call(t, a, sign(t, jose.RS256, key, nil, p.claims(map[string]any{"exp": tt.exp})))
		var e *pyexec.Error
		if !errors.As(err, &e) || e.Code != pyexec.CodeUnauthenticated || !strings.HasPrefix(e.Message, tt.want) {
			t.Errorf("exp %v: %v, want %q", tt.exp, err, tt.want)
		}
	}
}

// TestWhyATokenIsRefused: the cause, which is for the log, tells what to look
// at, and has nothing of a token that nobody vouches for.
func TestWhyATokenIsRefused(t *testing.T) {
	const secret = "sEcReT"
	key, stranger := rsaKey(t, "k1"), rsaKey(t, "k1")
	p := newProvider(t, key)
	a := newAuth(t, auth.Options{OIDC: p.options()})
	by := func(k jose.JSONWebKey, changes map[string]any) string {
		claims := p.claims(map[string]any{"sub": secret, "jti": secret})
		maps.Copy(claims, changes)
		return sign(t, jose.RS256, k, nil, claims)
	}
	header := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"` + secret + `","kid":"` + secret + `"}`))
	parts := strings.Split(strings.TrimPrefix(by(key, nil), "Bearer "), ".")
	for name, tt := range map[string]struct{ token, want string }{
		"audience":      {by(key, map[string]any{"aud": "other"}), `expected audience "pyexec" got ["other"]`},
		"issuer":        {by(key, map[string]any{"iss": "https://other.example"}), `got "https://other.example"`},
		"not yet":       {by(key, map[string]any{"nbf": time.Now().Add(time.Hour).Unix()}), "nbf"},
		"expired":       {by(key, map[string]any{"exp": 1}), "expired"},
		"signature":     {by(stranger, nil), "no key of the provider's fits"},
		"algorithm":     {"Bearer " + header + "." + parts[1] + "." + parts[2], "the algorithm is none"},
		"RS512":         {sign(t, jose.RS512, jose.JSONWebKey{Key: key.Key, KeyID: "k1"}, nil, p.claims(nil)), "the algorithm is none"},
		"no token":      {"Bearer " + secret, "no signed JWT"},
		"half a token":  {"Bearer " + parts[0] + "." + parts[1], "no signed JWT"},
		"a header only": {"Bearer " + header + "..", "the algorithm is none"},
	} {
		_, _, err := call(t, a, tt.token)
		cause := errors.Unwrap(err)
		if cause == nil || !strings.Contains(cause.Error(), tt.want) {
			t.Errorf("%s: the log gets %v, want %q", name, cause, tt.want)
			continue
		}
		for part := range strings.SplitSeq(strings.TrimPrefix(tt.token, "Bearer ")+"."+secret, ".") {
			if part != "" && strings.Contains(err.Error(), part) {
				t.Errorf("%s: the log gets %q of the token: %v", name, part, err)
			}
		}
	}
}

// TestKeysOfAProviderChange: a new key is found when it is first seen, and one
// that was withdrawn is not good for long.
func TestKeysOfAProviderChange(t *testing.T) {
	old, next := rsaKey(t, "old"), rsaKey(t, "next")
	p := newProvider(t, old)
	a := newAuth(t, auth.Options{OIDC: p.options().At(time.Nanosecond, time.Hour)})
	token := func(k jose.JSONWebKey) string { return sign(t, jose.RS256, k, nil, p.claims(nil)) }
	if _, _, err := call(t, a, token(old)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := call(t, a, token(next)); err == nil {
		t.Fatal("an unpublished key is good")
	}
	p.set(func() { p.keys = append(p.keys, next) })
	if _, _, err := call(t, a, token(next)); err != nil {
		t.Errorf("a new key: %v", err)
	}

	b := newAuth(t, auth.Options{OIDC: p.options().At(time.Nanosecond, time.Nanosecond)})
	if _, _, err := call(t, b, token(old)); err != nil {
		t.Fatal(err)
	}
	p.set(func() { p.keys = []jose.JSONWebKey{next} })
	if _, _, err := call(t, b, token(old)); pyexec.CodeOf(err) != pyexec.CodeUnauthenticated {
		t.Errorf("a withdrawn key: %v", err)
	}
	// While the provider is down, the keys that it last had are used.
	if _, _, err := call(t, b, token(next)); err != nil {
		t.Fatal(err)
	}
	p.set(func() { p.down = true })
	if _, _, err := call(t, b, token(next)); err != nil {
		t.Errorf("with the provider down: %v", err)
	}
	if _, _, err := call(t, b, token(old)); pyexec.CodeOf(err) != pyexec.CodeUnavailable {
		t.Errorf("an unknown key with the provider down: %v", err)
	}
}

// TestWhatIsNoKeys: an answer that has none is like no answer: the keys of
// before are good, and a token is not refused for want of others.
func TestWhatIsNoKeys(t *testing.T) {
	key, next := rsaKey(t, "k1"), rsaKey(t, "k2")
	for name, answer := range map[string]http.HandlerFunc{
		"a page":     func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>sEcReT</html>") },
		"not found":  http.NotFound,
		"no content": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) },
		"no keys":    func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"error":"sEcReT"}`) },
		"null":       func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"keys":null}`) },
		"a list":     func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `[]`) },
		"broken key": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"keys":["sEcReT"]}`) },
		"elsewhere":  func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/login", http.StatusFound) },
		"to nowhere": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusFound) },
		"unchanged": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "/x")
			w.WriteHeader(http.StatusNotModified)
		},
	} {
		p := newProvider(t, key)
		a := newAuth(t, auth.Options{OIDC: p.options().At(time.Nanosecond, time.Nanosecond)})
		token := func(k jose.JSONWebKey) string { return sign(t, jose.RS256, k, nil, p.claims(nil)) }
		if _, _, err := call(t, a, token(key)); err != nil {
			t.Fatal(err)
		}
		p.set(func() { p.jwks = answer })
		if _, _, err := call(t, a, token(key)); err != nil {
			t.Errorf("%s: a key that was good: %v", name, err)
		}
		for when, a := range map[string]*auth.Auth{"later": a, "from the start": newAuth(t, auth.Options{OIDC: p.options()})} {
			_, h, err := call(t, a, token(next))
			if pyexec.CodeOf(err) != pyexec.CodeUnavailable || len(h) > 0 {
				t.Errorf("%s, %s: an unknown key: %v, %v", name, when, err, h)
			}
			if cause := errors.Unwrap(err); cause == nil || strings.Contains(cause.Error(), "sEcReT") {
				t.Errorf("%s, %s: the log gets %v", name, when, cause)
			}
		}
	}
	// A provider may withdraw all that it had.
	p := newProvider(t)
	p.jwks = func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"keys":[]}`) }
	a := newAuth(t, auth.Options{OIDC: p.options()})
	if _, _, err := call(t, a, sign(t, jose.RS256, key, nil, p.claims(nil))); pyexec.CodeOf(err) != pyexec.CodeUnauthenticated {
		t.Errorf("without any key: %v", err)
	}
}

// TestAFloodOfUnknownKeysStaysHere: the provider must not pay for it.
func TestAFloodOfUnknownKeysStaysHere(t *testing.T) {
	key, stranger := rsaKey(t, "k1"), rsaKey(t, "k2")
	p := newProvider(t, key)
	a := newAuth(t, auth.Options{OIDC: p.options()})
	token := sign(t, jose.RS256, stranger, nil, p.claims(nil))
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			r := httptest.NewRequest(http.MethodPost, "/execute", nil)
			r.Header.Set("Authorization", token)
			if _, err := a.Authenticate(r, http.Header{}); pyexec.CodeOf(err) != pyexec.CodeUnauthenticated {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := p.fetches.Load(); n > 2 { // 2 where the test takes more than ten seconds
		t.Errorf("the provider was asked %d times", n)
	}
}

// TestAProviderThatIsDown is no reason not to start, and no reason to let
// anybody in.
func TestAProviderThatIsDown(t *testing.T) {
	key := rsaKey(t, "k1")
	p := newProvider(t, key)
	p.set(func() { p.down = true })
	a := newAuth(t, auth.Options{OIDC: p.options().At(time.Nanosecond, time.Hour)})
	token := sign(t, jose.RS256, key, nil, p.claims(nil))
	if _, h, err := call(t, a, token); pyexec.CodeOf(err) != pyexec.CodeUnavailable || len(h) > 0 {
		t.Errorf("while it is down: %v, %v", err, h)
	}
	p.set(func() { p.down = false })
	if _, _, err := call(t, a, token); err != nil {
		t.Errorf("when it is back: %v", err)
	}
}

func TestAWrongProviderStopsTheStart(t *testing.T) {
	p := newProvider(t)
	p.set(func() { p.issuer = "https://id.example.com" })
	if _, err := auth.New(t.Context(), auth.Options{OIDC: p.options()}); err == nil || !strings.Contains(err.Error(), "did not match") {
		t.Errorf("another issuer: %v", err)
	}
	opts := p.options()
	opts.Issuer = p.URL + "/nowhere"
	if _, err := auth.New(t.Context(), auth.Options{OIDC: opts}); err == nil {
		t.Error("a page that is not there is accepted")
	}
}

// TestSubjectsHaveLimits: the keys file knows who a subject is.
func TestSubjectsHaveLimits(t *testing.T) {
	key := rsaKey(t, "k1")
	p := newProvider(t, key)
	path := filepath.Join(t.TempDir(), "keys.yaml")
	if err := os.WriteFile(path, []byte("callers:\n  - name: team-a\n    timeout: 1s\n    subjects: [app]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	id, apiKey := addKey(t, path, "team-b", nil)
	opts := p.options()
	opts.Claim = "azp"
	a := newAuth(t, auth.Options{KeysFile: path, OIDC: opts})
	for header, want := range map[string]pyexec.Caller{
		sign(t, jose.RS256, key, nil, p.claims(nil)):                             {Name: "team-a", Timeout: time.Second},
		sign(t, jose.RS256, key, nil, p.claims(map[string]any{"azp": "team-b"})): {Name: "oidc:team-b"}, // not the key's owner
		apiKey: {Name: "team-b", Key: id},
	} {
		if c, _, err := call(t, a, header); err != nil || !cmp.Equal(c, want) {
			t.Errorf("%+v, %v; want %+v", c, err, want)
		}
	}
}

// FuzzAuthorization: no header of a client's makes him a caller.
func FuzzAuthorization(f *testing.F) {
	path := filepath.Join(f.TempDir(), "keys.yaml")
	k, _ := auth.NewKey(time.Now())
	if err := auth.AddKey(path, "a", k); err != nil {
		f.Fatal(err)
	}
	p := &provider{}
	p.Server = httptest.NewServer(p)
	f.Cleanup(p.Close)
	a, err := auth.New(f.Context(), auth.Options{KeysFile: path, OIDC: auth.OIDC{Issuer: p.URL, Audience: "pyexec"}})
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{"", "Bearer", "Bearer pyx_" + k.ID + "_A", "Bearer eyJhbGciOiJub25lIn0.e30.", "bearer\ta", "Basic YTpi", "Bearer a.b.c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r := httptest.NewRequest(http.MethodPost, "/execute", nil)
		r.Header["Authorization"] = []string{s}
		if c, err := a.Authenticate(r, http.Header{}); pyexec.CodeOf(err) != pyexec.CodeUnauthenticated {
			t.Errorf("%q: %+v, %v", s, c, err)
		}
	})
}
