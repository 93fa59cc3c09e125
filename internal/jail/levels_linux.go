package jail

import (
	"embed"
	"slices"
)

// Level names an isolation level; docs/isolation.md says what each one gives.
type Level string

// The levels, highest first.
const (
	Full               Level = "full"
	MaskedProc         Level = "namespaces-masked-proc"
	NamespacesOnly     Level = "namespaces-no-landlock"
	LandlockOnly       Level = "landlock"
	SeccompOnly        Level = "seccomp"
	defaultRequirement       = LandlockOnly
)

// Levels lists all levels, highest first.
var Levels = []Level{Full, MaskedProc, NamespacesOnly, LandlockOnly, SeccompOnly}

// Meets says whether l gives at least what want does.
func (l Level) Meets(want Level) bool {
	return slices.Index(Levels, l) <= slices.Index(Levels, want)
}

//go:embed nsjail/*.cfg
var nsjailConfigs embed.FS

// spec is what a level is made of.
type spec struct {
	level      Level
	namespaces []string
	proc       string // "fresh", "empty" or "none"
	landlock   bool
	nsjail     string // name of the configuration file
}

var all = []string{"user", "mount", "pid", "ipc", "uts", "net", "cgroup"}

var specs = []spec{
	{level: Full, namespaces: all, proc: "fresh", landlock: true, nsjail: "full.cfg"},
	{level: MaskedProc, namespaces: all, proc: "empty", landlock: true, nsjail: "masked-proc.cfg"},
	{level: NamespacesOnly, namespaces: all, proc: "fresh", nsjail: "minimal.cfg"},
	{level: LandlockOnly, proc: "none", landlock: true, nsjail: "minimal.cfg"},
	{level: SeccompOnly, proc: "none", nsjail: "minimal.cfg"},
}
