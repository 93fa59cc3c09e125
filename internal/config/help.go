package config

import (
	"fmt"
	"log/slog"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Setting is a row of the table, for the command line's help and completion.
type Setting struct {
	Name, Kind, Default, Help string
	Values                    []string // what it may be; nil where that cannot be listed
}

// Settings are all settings, in the order in which help lists them.
func Settings() []Setting {
	all := make([]Setting, len(settings))
	for i, s := range settings {
		all[i] = Setting{Name: s.name, Kind: s.kind, Default: s.value, Help: s.help}
		switch {
		case s.kind == "": // a switch
		case s.kind == strings.ToLower(s.kind):
			all[i].Values = strings.Split(s.kind, "|")
		case strings.HasPrefix(s.kind, "LEVEL"):
			all[i].Values = Levels
		}
	}
	return all
}

// String is the settings in effect, one a line, as a file would have them.
// No setting is a secret yet; one that is must be hidden here.
func (c Config) String() string {
	all := &yaml.Node{Kind: yaml.MappingNode}
	for _, a := range c.attrs() {
		value := &yaml.Node{Kind: yaml.ScalarNode, Value: a.Value.String()} // without a tag: quoted only where the text needs it
		if value.Value == "" {
			value.Style = yaml.DoubleQuotedStyle // else it would be null
		}
		all.Content = append(all.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: a.Key}, value)
	}
	text, err := yaml.Marshal(all)
	if err != nil {
		return fmt.Sprintf("# bug: %v\n", err)
	}
	return string(text)
}

// LogValue is the settings in effect.
func (c Config) LogValue() slog.Value { return slog.GroupValue(c.attrs()...) }

func (c Config) attrs() []slog.Attr {
	nsjail := c.Nsjail
	if nsjail == "" {
		nsjail = "none"
	}
	return []slog.Attr{
		slog.String("addr", c.Addr),
		slog.String("policy", c.Policy),
		slog.String("timeout", c.Timeout.String()),
		slog.String("memory", c.Memory.String()),
		slog.Int("concurrency", c.Concurrency),
		slog.Int("queue", c.Queue),
		slog.String("max-wait", c.MaxWait.String()),
		slog.String("memory-budget", c.MemoryBudget.String()),
		slog.String("grace", c.Grace.String()),
		slog.String("require-isolation", strings.Join(c.RequireIsolation, ",")),
		slog.String("python", c.Python),
		slog.String("nsjail", nsjail),
		slog.Int("sandbox-uid", c.SandboxUID),
		slog.Int("ready", c.Ready),
		slog.String("preload", strings.Join(c.Preload, ",")),
		slog.Int("zygote-max-runs", c.ZygoteMaxRuns),
		slog.String("zygote-max-age", c.ZygoteMaxAge.String()),
		slog.Bool("playground", c.Playground),
		slog.String("metrics-addr", c.MetricsAddr),
		slog.String("egress", c.Egress.String()),
		slog.Int("egress-connections", c.EgressConnections),
		slog.Int("egress-requests", c.EgressRequests),
		slog.String("egress-bytes", c.EgressBytes.String()),
		slog.String("egress-time", c.EgressTime.String()),
		slog.String("keys-file", c.KeysFile),
		slog.Bool("require-auth", c.RequireAuth),
		slog.String("oidc-issuer", c.OIDCIssuer),
		slog.String("oidc-audience", c.OIDCAudience),
		slog.String("oidc-scopes", strings.Join(c.OIDCScopes, ",")),
		slog.String("oidc-claim", c.OIDCClaim),
		slog.String("rate", c.Rate.String()),
		slog.Int("burst", c.Burst),
		slog.Int("caller-concurrency", c.CallerRuns),
		slog.Int("trusted-proxies", c.TrustedProxies),
		slog.String("audit-log", c.AuditLog),
		slog.String("tls-cert", c.TLSCert),
		slog.String("tls-key", c.TLSKey),
		slog.String("allowed-hosts", strings.Join(c.AllowedHosts, ",")),
		slog.String("cors-origins", strings.Join(c.CORSOrigins, ",")),
		slog.String("log-format", c.LogFormat),
		slog.String("log-level", c.LogLevel),
		slog.String("unsafe-disable-layers", strings.Join(c.UnsafeDisableLayers, ",")),
		slog.String("unsafe-force-level", c.UnsafeForceLevel),
	}
}
