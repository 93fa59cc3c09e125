package stories

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// TestBearerTokens: a provider of OpenID, its tokens, and the server's flags.
// What tokens are refused for is in the tests of internal/auth.
func TestBearerTokens(t *testing.T) {
	t.Parallel()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	key := jose.JSONWebKey{Key: private, KeyID: "k1", Algorithm: "RS256", Use: "sig"}
	mux := http.NewServeMux()
	provider := httptest.NewServer(mux)
	t.Cleanup(provider.Close)
	answer := func(path string, v any) {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(v) })
	}
	answer("/.well-known/openid-configuration", map[string]any{
		"issuer": provider.URL, "jwks_uri": provider.URL + "/keys", "id_token_signing_alg_values_supported": []string{"RS256"},
	})
	answer("/keys", jose.JSONWebKeySet{Keys: []jose.JSONWebKey{key.Public()}})
	token := func(audience, scope string) []string {
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: key}, nil)
		if err != nil {
			t.Fatal(err)
		}
		claims, err := json.Marshal(map[string]any{
			"iss": provider.URL, "aud": audience, "sub": "alice", "scope": scope, "exp": time.Now().Add(time.Minute).Unix(),
		})
		if err != nil {
			t.Fatal(err)
		}
		signed, err := signer.Sign(claims)
		if err != nil {
			t.Fatal(err)
		}
		text, err := signed.CompactSerialize()
		if err != nil {
			t.Fatal(err)
		}
		return []string{"Authorization", "Bearer " + text}
	}

	server := start(t, "--require-auth", "--oidc-issuer="+provider.URL, "--oidc-audience=pyexec", "--oidc-scopes=run:scripts")
	run := request{"script": inMain("return 1")}
	execute(t, server.BaseURL, run, token("pyexec", "openid run:scripts")...).want(t, "1")
	execute(t, server.BaseURL, run).fails(t, 401, "unauthenticated")
	other := token("other", "run:scripts")
	execute(t, server.BaseURL, run, other...).fails(t, 401, "unauthenticated")
	a := execute(t, server.BaseURL, run, token("pyexec", "openid")...)
	a.fails(t, 403, "forbidden")
	if got := a.header.Get("WWW-Authenticate"); got != `Bearer error="insufficient_scope", scope="run:scripts"` {
		t.Errorf("WWW-Authenticate: %s", got)
	}
	if err := server.Stop(); err != nil { // a line is written after its answer
		t.Fatal(err)
	}
	log := server.Log()
	for _, why := range []string{"expected audience", "the token lacks the scope run:scripts"} {
		if !strings.Contains(log, why) {
			t.Errorf("the log does not say %q", why)
		}
	}
	for part := range strings.SplitSeq(strings.TrimPrefix(other[1], "Bearer "), ".") {
		if strings.Contains(log, part) {
			t.Errorf("the log has %q of a token", part)
		}
	}
}
