package app

import (
	"context"
	"log/slog"
	"net"
	"slices"

	pyexec "github.com/python-code-executor/pyexec"
	"github.com/python-code-executor/pyexec/internal/auth"
	"github.com/python-code-executor/pyexec/internal/config"
	"github.com/python-code-executor/pyexec/internal/jail"
	"github.com/python-code-executor/pyexec/internal/quota"
)

// newAuth is who may call, by the settings.
func newAuth(ctx context.Context, c config.Config, log *slog.Logger) (*auth.Auth, error) {
	return auth.New(ctx, auth.Options{
		KeysFile: c.KeysFile,
		OIDC:     auth.OIDC{Issuer: c.OIDCIssuer, Audience: c.OIDCAudience, Scopes: c.OIDCScopes, Claim: c.OIDCClaim},
		Proxies:  c.TrustedProxies,
		Check: auth.Check{Limits: c.Limits(), Policy: c.Policy, Isolation: func(text string) error {
			_, err := jail.ParseRequirement(text)
			return err
		}, Allow: &c.Egress},
		Log: log,
	})
}

// callersKept is how many callers' buckets are remembered: some 10 MB.
const callersKept = 50_000

func newQuota(c config.Config) *quota.Quota {
	rate := c.Rate
	rate.Burst = c.Burst
	return quota.New(quota.NewMemory(callersKept), pyexec.Caller{Rate: rate, Concurrency: c.CallerRuns})
}

// warnOpen says that anybody on the network may run scripts.
func (a *App) warnOpen() {
	host, _, _ := net.SplitHostPort(a.Addr())
	if ip := net.ParseIP(host); !a.auth.Required() && ip != nil && !ip.IsLoopback() {
		a.log.Warn("anybody who reaches this address may run scripts: give --keys-file or --oidc-issuer, or listen on loopback", "addr", a.Addr())
	}
}

// warnSites says that what any site shows in a browser near here may run
// scripts.
func (a *App) warnSites() {
	if !a.auth.Required() && slices.Contains(a.config.CORSOrigins, "*") {
		a.log.Warn("pages of every site may run scripts through their visitors' browsers: name sites in --cors-origins, or give --keys-file or --oidc-issuer")
	}
}

// isolated holds a request to the isolation that the operator promised its
// caller: the server's may be less.
func (a *App) isolated(req pyexec.Request) error {
	if req.Isolation == "" {
		return nil
	}
	want, err := jail.ParseRequirement(req.Isolation)
	if err == nil {
		err = want.Lacking(a.jail.Isolation())
	}
	if err != nil {
		return &pyexec.Error{
			Code: pyexec.CodeUnavailable, Err: err,
			Message: "this server cannot give the isolation that this caller's scripts must have",
		}
	}
	return nil
}
