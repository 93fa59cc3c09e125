package auth

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"

	"github.com/python-code-executor/pyexec"
)

// OIDC says whose bearer tokens are good. Without Issuer none are.
type OIDC struct {
	Issuer   string   // exactly as it is in tokens
	Audience string   // that tokens must be for
	Scopes   []string // that tokens must have, all of them
	Claim    string   // that names the caller; "": sub

	refresh time.Duration // between two fetches of one document; 0: refreshTime
	fresh   time.Duration // that keys are used without asking again; 0: freshTime
}

// CheckIssuer says what is wrong with an issuer's URL. Keys that come over
// plain HTTP could be anybody's, unless it stays on this machine.
func CheckIssuer(s string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return fmt.Errorf("%q is not a URL such as https://id.example.com/tenant", s)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return errors.New("has a user, a query or a fragment, which an issuer has not")
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return fmt.Errorf("%q is not https", s)
	}
	return nil
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback() || host == "localhost"
}

// tokens checks bearer tokens of one provider.
type tokens struct {
	opts OIDC
	http *http.Client // for discovery

	verifier atomic.Pointer[oidc.IDTokenVerifier] // nil until the provider has answered once
}

func newTokens(ctx context.Context, opts OIDC, log *slog.Logger) (*tokens, error) {
	if opts.Claim == "" {
		opts.Claim = "sub"
	}
	if err := CheckIssuer(opts.Issuer); err != nil {
		return nil, fmt.Errorf("oidc-issuer: %w", err)
	}
	if opts.Audience == "" {
		return nil, errors.New("oidc-audience: is empty: a token for any other service would be taken")
	}
	if opts.fresh == 0 {
		opts.fresh = freshTime
	}
	t := &tokens{opts: opts, http: newClient(opts.refresh, serverFault)}
	_, err := t.discover(ctx)
	var unreached *url.Error
	if errors.As(err, &unreached) {
		log.Error("the OpenID provider cannot be reached; it is asked again when a token comes", "issuer", opts.Issuer, "error", err)
		err = nil
	}
	if err != nil {
		return nil, fmt.Errorf("oidc-issuer: %w", err)
	}
	return t, nil
}

// discover asks the provider where its keys are and how it signs, unless it has
// said so before.
func (t *tokens) discover(ctx context.Context) (*oidc.IDTokenVerifier, error) {
	if v := t.verifier.Load(); v != nil {
		return v, nil
	}
	// A client that goes away must not spoil the answer for the others.
	p, err := oidc.NewProvider(oidc.ClientContext(context.WithoutCancel(ctx), t.http), t.opts.Issuer)
	if err != nil {
		return nil, err
	}
	var doc struct {
		JWKS       string   `json:"jwks_uri"`
		Algorithms []string `json:"id_token_signing_alg_values_supported"`
	}
	if err := p.Claims(&doc); err != nil {
		return nil, err
	}
	if err := CheckIssuer(doc.JWKS); err != nil {
		return nil, fmt.Errorf("the provider's jwks_uri: %w", err)
	}
	keys := &keyring{jwks: doc.JWKS, client: newClient(t.opts.refresh, noKeys), fresh: t.opts.fresh}
	v := oidc.NewVerifier(t.opts.Issuer, keys, &oidc.Config{
		ClientID: t.opts.Audience, SupportedSigningAlgs: asymmetric(doc.Algorithms),
	})
	t.verifier.CompareAndSwap(nil, v)
	return t.verifier.Load(), nil
}

// asymmetric leaves out none, and the algorithms with one key for both sides.
func asymmetric(algorithms []string) []string {
	good := slices.DeleteFunc(slices.Clone(algorithms), func(a string) bool {
		return !slices.Contains([]string{
			oidc.RS256, oidc.RS384, oidc.RS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.EdDSA,
		}, a)
	})
	if len(good) == 0 {
		return []string{oidc.RS256}
	}
	return good
}

// claims are those of an access token that concern us (RFC 9068); providers
// spell scopes in three ways.
type claims struct {
	Scope string `json:"scope"`
	Scp   words  `json:"scp"`
}

// words is a list of strings, or one string with blanks between.
type words []string

func (w *words) UnmarshalJSON(b []byte) error {
	var text string
	if json.Unmarshal(b, &text) == nil {
		*w = strings.Fields(text)
		return nil
	}
	var list []string
	err := json.Unmarshal(b, &list)
	*w = list
	return err
}

// subject is whom a token names, if it is good. Why one is not is for the log,
// but for its age, which the client can mend.
func (t *tokens) subject(ctx context.Context, credential pyexec.Secret) (string, error) {
	const (
		unchecked = "the server cannot check tokens at the moment"
		invalid   = "the token is not valid for this server"
	)
	verifier, err := t.discover(ctx)
	if err != nil {
		return "", unavailable(unchecked, err)
	}
	var of seen
	token, err := verifier.Verify(context.WithValue(ctx, seenKey{}, &of), credential.Reveal())
	switch {
	case err == nil:
	case of.fault != nil:
		return "", unavailable(unchecked, of.fault)
	case of.payload == nil:
		return "", refused(invalid, unsigned(of, credential))
	default:
		return "", refused(cmp.Or(untimely(of.payload, err), invalid), err)
	}
	var c claims
	var all map[string]json.RawMessage
	if err := errors.Join(token.Claims(&c), token.Claims(&all)); err != nil {
		return "", refused(invalid, err)
	}
	has := append(strings.Fields(c.Scope), c.Scp...)
	for _, want := range t.opts.Scopes {
		if !slices.Contains(has, want) {
			return "", &pyexec.Error{Code: pyexec.CodeForbidden, Message: "the token lacks the scope " + want}
		}
	}
	var name string
	if json.Unmarshal(all[t.opts.Claim], &name) != nil || !goodSubject(name) {
		return "", refused("the token does not name its owner in the claim "+t.opts.Claim, nil)
	}
	return name, nil
}

// unsigned is why a signature does not count, in words that are not the
// token's: nobody has vouched for those.
func unsigned(of seen, credential pyexec.Secret) error {
	if of.asked {
		return errors.New("no key of the provider's fits the signature")
	}
	_, err := jose.ParseSignedCompact(credential.Reveal(), []jose.SignatureAlgorithm{jose.RS256}) // which one does not matter
	var other *jose.ErrUnexpectedSignatureAlgorithm
	if err == nil || errors.As(err, &other) {
		return errors.New("the algorithm is none that is taken: it must be asymmetric, and listed by the provider")
	}
	return errors.New("this is no signed JWT")
}

// untimely is what a client should know of the age of a token that was refused
// by err. go-oidc takes a time that is not there, or too large, for one long
// ago.
func untimely(payload []byte, err error) string {
	var c struct {
		Exp json.RawMessage `json:"exp"`
	}
	_ = json.Unmarshal(payload, &c) // else there is none
	exp, wrong := strconv.ParseFloat(strings.Trim(string(c.Exp), `"`), 64)
	var old *oidc.TokenExpiredError
	switch {
	case c.Exp == nil:
		return "the token has no claim exp, the time at which it expires"
	case wrong != nil, exp >= 1<<62:
		return "the token's claim exp is no time in seconds since 1970"
	case errors.As(err, &old):
		return "the token has expired: get a new one"
	}
	return ""
}

// goodSubject bounds what becomes a name in logs and quotas: it must not be
// shown as another one, as by characters that turn the direction of a text.
func goodSubject(s string) bool {
	return s != "" && len(s) <= 255 && !strings.ContainsFunc(s, func(c rune) bool {
		return unicode.In(c, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) || c == utf8.RuneError
	})
}
