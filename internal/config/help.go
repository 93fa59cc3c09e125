package config

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
	"text/tabwriter"
)

// Help writes the settings with their variables and defaults.
func Help(w io.Writer) {
	fmt.Fprintln(w, "Settings are flags, variables (PYEXEC_ and the name, as in PYEXEC_MAX_WAIT) and keys of a YAML file; the first that is given counts, in this order.")
	fmt.Fprintln(w)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(tw, "  --config FILE\tread settings from FILE\n")
	for _, s := range settings {
		help := s.help
		if s.value != "" {
			help += " (" + s.value + ")"
		}
		fmt.Fprintf(tw, "  --%s %s\t%s\n", s.name, s.kind, help)
	}
	_ = tw.Flush() // to w, whose errors a help text has no use for
}

// String is the settings in effect, one a line, as a file would have them.
// No setting is a secret yet; one that is must be hidden here.
func (c Config) String() string {
	var b strings.Builder
	for _, a := range c.attrs() {
		fmt.Fprintf(&b, "%s: %s\n", a.Key, a.Value)
	}
	return b.String()
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
		slog.Duration("timeout", c.Timeout),
		slog.String("memory", c.Memory.String()),
		slog.Int("concurrency", c.Concurrency),
		slog.Int("queue", c.Queue),
		slog.Duration("max-wait", c.MaxWait),
		slog.String("memory-budget", c.MemoryBudget.String()),
		slog.Duration("grace", c.Grace),
		slog.String("require-isolation", strings.Join(c.RequireIsolation, ",")),
		slog.String("python", c.Python),
		slog.String("nsjail", nsjail),
		slog.Int("sandbox-uid", c.SandboxUID),
		slog.Int("ready", c.Ready),
		slog.String("preload", strings.Join(c.Preload, ",")),
		slog.Int("zygote-max-runs", c.ZygoteMaxRuns),
		slog.Duration("zygote-max-age", c.ZygoteMaxAge),
		slog.String("metrics-addr", c.MetricsAddr),
		slog.String("log-format", c.LogFormat),
		slog.String("log-level", c.LogLevel),
		slog.String("unsafe-disable-layers", strings.Join(c.UnsafeDisableLayers, ",")),
		slog.String("unsafe-force-level", c.UnsafeForceLevel),
	}
}
