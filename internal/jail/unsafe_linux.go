package jail

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Unsafe is what tests take away to show that the rest carries its weight.
// Nothing of it is for use: a server that has it says so at every start.
type Unsafe struct {
	Without []string // layers, by the names that /health uses
	Level   Level    // the only level to try, instead of the highest that holds
}

// UnsafeLevel is the level that a server reports whose layers a test has taken
// away: it is none of those that can be required.
const UnsafeLevel = "unsafe"

// removable are the layers that can be taken away one by one. The others are
// part of one of these, or, like nsjail, settings of their own.
var removable = []string{
	"mount_namespace", "pid_namespace", "ipc_namespace", "uts_namespace", "net_namespace", "cgroup_namespace",
	"private_tmp", "capabilities", "no_new_privs", "landlock", "seccomp", "rlimits", "cgroup", "memory_watcher",
	EgressAddresses,
}

// EgressAddresses is the proxy's check of where a run connects to. It is no
// layer of the jail, which only knows its name.
const EgressAddresses = "egress_addresses"

// ParseUnsafe reads the names of layers and of a level.
func ParseUnsafe(layers []string, level string) (Unsafe, error) {
	u := Unsafe{Without: layers, Level: Level(level)}
	var unknown []string
	for _, name := range layers {
		if !slices.Contains(removable, name) {
			unknown = append(unknown, strconv.Quote(name))
		}
	}
	if len(unknown) > 0 {
		return u, fmt.Errorf("no layer that can be taken away: %s; these can: %s", strings.Join(unknown, ", "), strings.Join(removable, ", "))
	}
	if level != "" && !slices.Contains(Levels, u.Level) {
		return u, fmt.Errorf("unknown isolation level %q; levels: %s", level, join(Levels))
	}
	return u, nil
}

// off says whether a test has taken a layer away.
func (u Unsafe) off(layer string) bool { return slices.Contains(u.Without, layer) }

// apply takes the namespaces out of a level, and what cannot be without them.
func (u Unsafe) apply(s spec) spec {
	had := s.namespaces
	s.namespaces = []string{} // not null, which JSON would make of none
	for _, name := range had {
		if !u.off(name + "_namespace") {
			s.namespaces = append(s.namespaces, name)
		}
	}
	gone := func(name string) bool { return slices.Contains(had, name) && !slices.Contains(s.namespaces, name) }
	if gone("pid") {
		// A fresh /proc belongs to a pid namespace: the zygote's stays.
		s.proc = "none"
		if s.nsjail == "full.cfg" {
			s.nsjail = "masked-proc.cfg"
		}
	}
	if gone("mount") {
		s.proc, s.nsjail = "none", "minimal.cfg"
	}
	return s
}

// loosen takes limits out of what slots and children are told.
func (u Unsafe) loosen(config map[string]any) {
	if u.off("private_tmp") {
		config["disk_bytes"], config["disk_files"] = 0, 0
	}
	if u.off("rlimits") {
		config["rlimits"] = map[string]int64{}
	}
}

var errTakenAway = errors.New("taken away for a test")
