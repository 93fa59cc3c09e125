// Package config owns the settings of the server: one struct, one table, and
// the order flag, then PYEXEC_ variable, then file, then default. It reports
// every problem at once, before anything starts, and never changes afterwards.
//
// It is a table of its own over the standard library's flag package, since no
// flag library reports all problems of all three sources together.
package config

import (
	"runtime"
	"time"

	"github.com/python-code-executor/pyexec"
)

// Config is every setting, valid and with defaults filled in.
type Config struct {
	Addr             string
	Policy           string // standard, strict or off
	Timeout          time.Duration
	Memory           pyexec.Bytes
	Concurrency      int // at least 1
	Queue            int
	MaxWait          time.Duration
	MemoryBudget     pyexec.Bytes // 0 leaves it to the server
	Grace            time.Duration
	RequireIsolation []string // one level, or any number of layers
	Python           string   // absolute path
	Nsjail           string   // absolute path; "" for none, because of "none" or as none was found
	SandboxUID       int
	Ready            int      // ready children per zygote; 0 leaves it to the pool
	Preload          []string // modules
	ZygoteMaxRuns    int
	ZygoteMaxAge     time.Duration
	KeysFile         string // of API keys; "" for none
	RequireAuth      bool   // refuse to serve without keys or a provider
	OIDCIssuer       string // whose bearer tokens are taken; "" for nobody's
	OIDCAudience     string
	OIDCScopes       []string
	OIDCClaim        string
	Rate             pyexec.Rate // of a caller that has none of its own; zero for no bound
	Burst            int         // requests of such a caller that may come together; 0: Rate's count
	CallerRuns       int         // requests at once of such a caller; 0 for no bound
	TrustedProxies   int
	LogFormat        string // json or text; auto is json unless stderr is a terminal
	LogLevel         string // debug, info, warn or error
	Playground       bool   // serve the page at /
	MetricsAddr      string // auto, off, main, or an address
	AuditLog         string // a file; "" for none
	TLSCert          string // with TLSKey, serve HTTPS
	TLSKey           string
	AllowedHosts     []string // names for the Host header; "*" for all, none for what the address asks for
	CORSOrigins      []string // sites whose pages may call; "*" for all

	Egress            pyexec.Allow // what runs may reach over the network
	EgressConnections int          // of one run at once
	EgressRequests    int          // of one run in sum
	EgressBytes       pyexec.Bytes // of one run, both directions
	EgressTime        time.Duration

	// UnsafeDisableLayers takes protections away, for the tests that show
	// what each of them stops.
	UnsafeDisableLayers []string
	UnsafeForceLevel    string
}

// Levels are the isolation levels, strongest first.
var Levels = []string{"full", "namespaces-masked-proc", "namespaces-no-landlock", "landlock", "seccomp"}

// usualClaim names the owner of a token.
const usualClaim = "sub"

// setting is one row of the table.
//
// Help, completion and the flags that other commands take come from it too: a
// kind in small letters lists what the value may be.
type setting struct {
	name  string // of the flag and the key; PYEXEC_NAME is the variable
	value string // the default
	kind  string // of the value, in the help
	help  string
	set   func(c *Config, s string) error
}

var settings = []setting{
	{"addr", "127.0.0.1:8080", "HOST:PORT", "where to listen; the variable PORT changes only the port", text(func(c *Config) *string { return &c.Addr }, isAddr)},
	{"policy", "standard", "standard|strict|off", "operations refused before a run", oneOf(func(c *Config) *string { return &c.Policy }, "standard", "strict", "off")},
	{"timeout", "10s", "DURATION", "wall clock of a run, the most that a request may ask for", duration(func(c *Config) *time.Duration { return &c.Timeout }, time.Millisecond, time.Hour)},
	{"memory", "512MB", "SIZE", "memory of a run, the most that a request may ask for", size(func(c *Config) *pyexec.Bytes { return &c.Memory }, pyexec.DefaultLimits().MinMemory, 1<<40)},
	{"concurrency", "0", "N", "runs at once; 0 is twice the CPUs", number(func(c *Config) *int { return &c.Concurrency }, 0, 10_000)},
	{"queue", "64", "N", "requests that may wait for a place", number(func(c *Config) *int { return &c.Queue }, 0, 100_000)},
	{"max-wait", "10s", "DURATION", "longest wait for a place; what would wait longer is refused at once", duration(func(c *Config) *time.Duration { return &c.MaxWait }, time.Millisecond, time.Hour)},
	{"memory-budget", "0", "SIZE", "memory that runs may need together; 0 is four fifths of what the machine or the container has", size(func(c *Config) *pyexec.Bytes { return &c.MemoryBudget }, 0, 1<<50)},
	{"grace", "12s", "DURATION", "time that runs have to end at SIGTERM; default 8s on Cloud Run", duration(func(c *Config) *time.Duration { return &c.Grace }, 0, time.Hour)},
	{"require-isolation", "landlock", "LEVEL|LAYERS", "refuse to serve with less: full, namespaces-masked-proc, namespaces-no-landlock, landlock, seccomp, or layers with commas between", list(func(c *Config) *[]string { return &c.RequireIsolation }, isIsolation)},
	{"python", "", "FILE", "interpreter of the sandbox; default: .pyexec/venv beside bin, else python3 in PATH", text(func(c *Config) *string { return &c.Python }, nil)},
	{"nsjail", "", "FILE", "nsjail, or none; default: .pyexec/bin beside bin, else in PATH", text(func(c *Config) *string { return &c.Nsjail }, nil)},
	{"sandbox-uid", "64646", "UID", "user and group of runs when the server is root", number(func(c *Config) *int { return &c.SandboxUID }, 1, 1<<31-2)},
	{"ready", "0", "N", "children kept ready per zygote; 0 chooses", number(func(c *Config) *int { return &c.Ready }, 0, 1000)},
	{"preload", "", "MODULES", "more modules to import ahead of runs, beside numpy, pandas and requests", list(func(c *Config) *[]string { return &c.Preload }, nil)},
	{"zygote-max-runs", "10000", "N", "runs after which a zygote is replaced", number(func(c *Config) *int { return &c.ZygoteMaxRuns }, 1, 1<<30)},
	{"zygote-max-age", "1h", "DURATION", "age at which a zygote is replaced", duration(func(c *Config) *time.Duration { return &c.ZygoteMaxAge }, time.Second, 1000*time.Hour)},
	{"playground", "true", "true|false", "serve a page to try scripts on at /", boolean(func(c *Config) *bool { return &c.Playground })},
	{"metrics-addr", "auto", "HOST:PORT|auto|main|off", "where GET /metrics is served to Prometheus: an address, main (beside /execute), off, or auto, which is 127.0.0.1:9090 if that is free", text(func(c *Config) *string { return &c.MetricsAddr }, isMetricsAddr)},
	{"audit-log", "", "FILE", "append a line of JSON about each run, with its script's SHA-256", text(func(c *Config) *string { return &c.AuditLog }, nil)},
	{"log-format", "auto", "auto|json|text", "of the log; auto is text on a terminal", oneOf(func(c *Config) *string { return &c.LogFormat }, "auto", "json", "text")},
	{"log-level", "info", "debug|info|warn|error", "the least that is logged", oneOf(func(c *Config) *string { return &c.LogLevel }, "debug", "info", "warn", "error")},
	{"egress", "", "RULES", "what scripts may reach over HTTP(S): HOST, *.HOST or public, each with or without :PORT (else 80 and 443), with commas between; nothing by default", rules(func(c *Config) *pyexec.Allow { return &c.Egress })},
	{"egress-connections", "32", "N", "connections that a run may have open at once", number(func(c *Config) *int { return &c.EgressConnections }, 1, 1000)},
	{"egress-requests", "1000", "N", "connections that a run may make", number(func(c *Config) *int { return &c.EgressRequests }, 1, 1<<30)},
	{"egress-bytes", "64MB", "SIZE", "what a run may send and receive together", size(func(c *Config) *pyexec.Bytes { return &c.EgressBytes }, 1, 1<<50)},
	{"egress-time", "60s", "DURATION", "how long a connection may be open", duration(func(c *Config) *time.Duration { return &c.EgressTime }, 100*time.Millisecond, time.Hour)},
	{"keys-file", "", "FILE", "API keys and the limits of their owners, made by pyexec keys create; with it, a run needs a key", text(func(c *Config) *string { return &c.KeysFile }, nil)},
	{"require-auth", "false", "", "refuse to serve without keys-file or oidc-issuer", boolean(func(c *Config) *bool { return &c.RequireAuth })},
	{"oidc-issuer", "", "URL", "OpenID provider whose bearer tokens are taken", text(func(c *Config) *string { return &c.OIDCIssuer }, nil)},
	{"oidc-audience", "", "NAME", "audience that a token must be for", text(func(c *Config) *string { return &c.OIDCAudience }, nil)},
	{"oidc-scopes", "", "SCOPES", "scopes that a token must have, with commas between", words(func(c *Config) *[]string { return &c.OIDCScopes }, nil)},
	{"oidc-claim", usualClaim, "NAME", "claim of a token that names the caller", text(func(c *Config) *string { return &c.OIDCClaim }, notEmpty)},
	{"rate", "0", "N/UNIT", "requests of one caller, as in 10/s, 600/m or 1000/h; 0 is no bound", rate(func(c *Config) *pyexec.Rate { return &c.Rate })},
	{"burst", "0", "N", "requests of one caller that may come at once; 0 is the N of rate", number(func(c *Config) *int { return &c.Burst }, 0, pyexec.MaxRate)},
	{"caller-concurrency", "0", "N", "requests of one caller at once; 0 is no bound", number(func(c *Config) *int { return &c.CallerRuns }, 0, 100_000)},
	{"trusted-proxies", "0", "N", "proxies before the server that append to X-Forwarded-For, for the address of a client without a key", number(func(c *Config) *int { return &c.TrustedProxies }, 0, 100)},
	{"tls-cert", "", "FILE", "certificate chain, PEM; with tls-key, HTTPS is served, HTTP/2 with it", text(func(c *Config) *string { return &c.TLSCert }, nil)},
	{"tls-key", "", "FILE", "key of tls-cert, PEM", text(func(c *Config) *string { return &c.TLSKey }, nil)},
	{"allowed-hosts", "", "NAMES", "names that the Host header may have, with commas between, beside addresses, localhost and names without a dot; * is any, as is the default, but on loopback none more", words(func(c *Config) *[]string { return &c.AllowedHosts }, isHost)},
	{"cors-origins", "", "ORIGINS", "sites whose pages may call, as https://example.com, with commas between; * is any", words(func(c *Config) *[]string { return &c.CORSOrigins }, isOrigin)},
	{"unsafe-disable-layers", "", "LAYERS", "for tests only: protections to take away, by their names in /health", list(func(c *Config) *[]string { return &c.UnsafeDisableLayers }, nil)},
	{"unsafe-force-level", "", "LEVEL", "for tests only: the isolation level to have, instead of the highest that the platform allows", text(func(c *Config) *string { return &c.UnsafeForceLevel }, isLevel)},
}

// Limits are the limits of the HTTP contract with the operator's changes.
func (c Config) Limits() pyexec.Limits {
	l := pyexec.DefaultLimits()
	l.Timeout, l.Memory = c.Timeout, c.Memory
	return l
}

// Private is c for a server that nothing but its own process reaches: who is
// there needs no key, and nobody asks for metrics.
func (c Config) Private() Config {
	c.MetricsAddr = "off"
	c.KeysFile, c.RequireAuth = "", false
	c.OIDCIssuer, c.OIDCAudience, c.OIDCScopes = "", "", nil
	c.Rate, c.Burst, c.CallerRuns = pyexec.Rate{}, 0, 0
	c.TLSCert, c.TLSKey, c.AllowedHosts = "", "", nil
	return c
}

// defaults fills in what depends on the machine. GOMAXPROCS knows the CPU
// quota of a container.
func (c *Config) defaults() {
	if c.Concurrency == 0 {
		c.Concurrency = 2 * runtime.GOMAXPROCS(0)
	}
}
