// Package auth finds out who sends a request: the caller that the keys file
// gives an API key to, the one that a bearer token of an OpenID provider
// names, or, where neither is configured, the client's address.
//
// It reads headers alone, never a body, and knows nothing of runs.
package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/python-code-executor/pyexec"
)

// Options say who may call. With neither KeysFile nor OIDC everybody may.
type Options struct {
	KeysFile string
	OIDC     OIDC
	Proxies  int // trusted proxies before the server, for the address of a client without a name
	Check    Check
	Log      *slog.Logger
}

// Auth is the stage that comes before everything else of a request.
type Auth struct {
	opts   Options
	keys   *keysFile // nil without one
	tokens *tokens   // nil without a provider
}

// New reads the keys file and asks the provider for its keys. A provider that
// cannot be reached is no error: it is asked again when a token comes.
func New(ctx context.Context, opts Options) (*Auth, error) {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	a := &Auth{opts: opts}
	var problems []error
	if opts.KeysFile != "" {
		keys, err := openKeysFile(opts.KeysFile, opts.Check)
		if err == nil && opts.OIDC.Issuer == "" && keys.empty() {
			err = fmt.Errorf("keys-file: %s has no key, so that nobody could call: pyexec keys create makes one", opts.KeysFile)
		}
		problems = append(problems, err)
		a.keys = keys
	}
	if opts.OIDC.Issuer != "" {
		tokens, err := newTokens(ctx, opts.OIDC, opts.Log)
		problems = append(problems, err)
		a.tokens = tokens
	}
	return a, errors.Join(problems...)
}

// Required tells whether a request needs a key or a token.
func (a *Auth) Required() bool { return a.keys != nil || a.tokens != nil }

// Authenticate is the caller of r. With an error, his name is his address, for
// the log; where the error is [pyexec.CodeUnauthenticated] or
// [pyexec.CodeForbidden], h has the WWW-Authenticate field that belongs to it.
func (a *Auth) Authenticate(r *http.Request, h http.Header) (pyexec.Caller, error) {
	client := pyexec.Caller{Name: ClientAddress(r.RemoteAddr, r.Header.Values("X-Forwarded-For"), a.opts.Proxies)}
	if !a.Required() {
		return client, nil
	}
	credential, err := bearer(r.Header.Values("Authorization"))
	if err != nil {
		h.Set("WWW-Authenticate", "Bearer")
		return client, err
	}
	var c pyexec.Caller
	switch {
	case strings.HasPrefix(credential.Reveal(), keyPrefix) && a.keys != nil:
		c, err = a.keys.caller(credential, time.Now())
	case a.tokens != nil:
		c, err = a.tokenCaller(r.Context(), credential)
	default:
		err = refused("the key is not valid", nil)
	}
	if err != nil {
		challenge(h, err, a.opts.OIDC.Scopes)
		return client, err
	}
	return c, nil
}

// tokenCaller is the caller whom the keys file lists for the token's subject,
// with his limits, or else one that is named after it.
func (a *Auth) tokenCaller(ctx context.Context, credential pyexec.Secret) (pyexec.Caller, error) {
	subject, err := a.tokens.subject(ctx, credential)
	if err != nil {
		return pyexec.Caller{}, err
	}
	if a.keys != nil {
		t, err := a.keys.current()
		if err != nil {
			return pyexec.Caller{}, err
		}
		if c, ok := t.subjects[subject]; ok {
			return c, nil
		}
	}
	return pyexec.Caller{Name: "oidc:" + subject}, nil
}

// challenge sets what RFC 6750 wants beside a 401 or 403.
func challenge(h http.Header, err error, scopes []string) {
	switch pyexec.CodeOf(err) {
	case pyexec.CodeUnauthenticated:
		h.Set("WWW-Authenticate", `Bearer error="invalid_token"`)
	case pyexec.CodeForbidden:
		h.Set("WWW-Authenticate", `Bearer error="insufficient_scope", scope="`+strings.Join(scopes, " ")+`"`)
	default: // the service's own failure: nothing is wrong with the credential
	}
}

// maxCredential bounds a token: providers' are some kilobytes at most.
const maxCredential = 8 << 10

// bearer is the credential of Authorization: Bearer.
func bearer(values []string) (pyexec.Secret, error) {
	const how = "send the header Authorization: Bearer KEY"
	switch len(values) {
	case 0:
		return pyexec.Secret{}, refused("this server needs a key: "+how, nil)
	case 1:
	default:
		return pyexec.Secret{}, refused("there is more than one Authorization header: "+how+", once", nil)
	}
	scheme, credential, ok := strings.Cut(strings.TrimSpace(values[0]), " ")
	credential = strings.TrimLeft(credential, " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") || credential == "" {
		return pyexec.Secret{}, refused("the Authorization header is not of the scheme Bearer: "+how, nil)
	}
	if len(credential) > maxCredential || strings.ContainsFunc(credential, notToken68) {
		return pyexec.Secret{}, refused("the Authorization header has no well-formed key: "+how, nil)
	}
	return pyexec.NewSecret(credential), nil
}

// notToken68 is of RFC 7235's token68 and the underscore of our keys.
func notToken68(c rune) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return false
	}
	return !strings.ContainsRune("-._~+/=", c)
}

func refused(message string, cause error) error {
	return &pyexec.Error{Code: pyexec.CodeUnauthenticated, Message: message, Err: cause}
}

func unavailable(message string, cause error) error {
	return &pyexec.Error{Code: pyexec.CodeUnavailable, Message: message, RetryAfter: time.Second, Err: cause}
}
