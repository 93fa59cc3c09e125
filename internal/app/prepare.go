package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/python-code-executor/pyexec/internal/audit"
	"github.com/python-code-executor/pyexec/internal/auth"
	"github.com/python-code-executor/pyexec/internal/config"
	"github.com/python-code-executor/pyexec/internal/egress"
	"github.com/python-code-executor/pyexec/internal/jail"
	"github.com/python-code-executor/pyexec/internal/tracing"
)

// ErrConfig means that what was asked for cannot be: no platform gives it.
var ErrConfig = errors.New("the configuration cannot work")

// Check says what is wrong with settings by themselves: names of levels and
// layers, the form of the issuer, destinations that no run may reach. Files,
// addresses, the provider and the platform are for New to try.
func Check(c config.Config) error {
	_, _, err := isolation(c)
	problems := []error{err}
	if c.OIDCIssuer != "" {
		problems = append(problems, about("oidc-issuer", auth.CheckIssuer(c.OIDCIssuer)))
	}
	problems = append(problems, about("egress", egress.CheckRules(c.Egress)))
	return errors.Join(problems...)
}

// isolation is what the settings name by words that the jail knows.
func isolation(c config.Config) (jail.Requirement, jail.Unsafe, error) {
	want, err := jail.ParseRequirement(strings.Join(c.RequireIsolation, ","))
	unsafe, unsafeErr := jail.ParseUnsafe(c.UnsafeDisableLayers, c.UnsafeForceLevel)
	return want, unsafe, errors.Join(about("require-isolation", err), about("unsafe-disable-layers", unsafeErr))
}

// prepare makes all that needs no sandbox. It goes on after a fault, so that
// one start tells them all; what it has opened, Close closes.
func (a *App) prepare(ctx context.Context, version string) (want jail.Requirement, unsafe jail.Unsafe, err error) {
	c, log := a.config, a.log
	var wrong, failed []error // the configuration is, or perhaps the machine
	want, unsafe, err = isolation(c)
	wrong = append(wrong, err)
	a.auth, err = newAuth(ctx, c, log)
	wrong = append(wrong, err)
	if c.TLSCert != "" {
		a.certificate, err = newCertificate(c, log)
		wrong = append(wrong, err)
	}
	a.egress, err = newEgress(c, log)
	wrong = append(wrong, about("egress", err))
	a.tracing, err = tracing.New(ctx, version, log)
	wrong = append(wrong, err)
	if c.AuditLog != "" {
		a.audit, err = audit.Open(c.AuditLog, log)
		failed = append(failed, about("audit-log", err))
	}
	if a.listener == nil {
		a.listener, err = new(net.ListenConfig).Listen(ctx, "tcp", c.Addr)
		failed = append(failed, about("addr", err))
	}
	a.metrics, err = listenMetrics(ctx, c, log)
	failed = append(failed, about("metrics-addr", err))
	if err := errors.Join(wrong...); err != nil {
		failed = append([]error{fmt.Errorf("%w:\n%w", ErrConfig, err)}, failed...)
	}
	return want, unsafe, errors.Join(failed...)
}

// about says which setting err is about.
func about(setting string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", setting, err)
}
