package jail

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	pyexec "github.com/python-code-executor/pyexec"
)

// Requirement is the least isolation that the operator accepts: a level, and
// layers by name.
type Requirement struct {
	Level  Level
	Layers []string
}

// ParseRequirement reads a level, or layers separated by commas, or both. The
// empty text asks for the default.
func ParseRequirement(text string) (Requirement, error) {
	r := Requirement{Level: defaultRequirement}
	var unknown []string
	for word := range strings.SplitSeq(text, ",") {
		word = strings.TrimSpace(word)
		switch {
		case word == "":
		case slices.Contains(Levels, Level(word)):
			r.Level = Level(word)
		case slices.Contains(LayerNames, word):
			r.Layers = append(r.Layers, word)
		default:
			unknown = append(unknown, strconv.Quote(word))
		}
	}
	if len(unknown) > 0 {
		return r, fmt.Errorf("unknown isolation level or layer %s; levels: %s; layers: %s",
			strings.Join(unknown, ", "), join(Levels), strings.Join(LayerNames, ", "))
	}
	return r, nil
}

// LayerNames are the layers that /health reports.
var LayerNames = []string{
	"nsjail", "user_namespace", "mount_namespace", "pid_namespace", "ipc_namespace", "uts_namespace",
	"net_namespace", "cgroup_namespace", "private_tmp", "private_proc", "read_only_view", "capabilities",
	"no_new_privs", "landlock", "seccomp", "rlimits", "cgroup", "memory_watcher",
}

func join(levels []Level) string {
	var words []string
	for _, l := range levels {
		words = append(words, string(l))
	}
	return strings.Join(words, ", ")
}

// String is the text that ParseRequirement reads.
func (r Requirement) String() string {
	return strings.Join(append([]string{string(r.Level)}, r.Layers...), ",")
}

// Lacking says what of r a run with iso would lack; nil is nothing.
func (r Requirement) Lacking(iso pyexec.Isolation) error {
	if l := Level(iso.Level); !slices.Contains(Levels, l) || !r.allows(l) {
		return fmt.Errorf("the isolation is %s, not %s", iso.Level, r.Level)
	}
	if missing := r.missing(iso); len(missing) > 0 {
		return fmt.Errorf("the isolation lacks %s", strings.Join(missing, ", "))
	}
	return nil
}

func (r Requirement) allows(l Level) bool { return l.Meets(r.Level) }

func (r Requirement) missing(iso pyexec.Isolation) []string {
	var names []string
	for _, want := range r.Layers {
		i := slices.IndexFunc(iso.Layers, func(l pyexec.Layer) bool { return l.Name == want })
		switch {
		case i < 0:
			names = append(names, want)
		case !iso.Layers[i].Active:
			names = append(names, want+" ("+iso.Layers[i].Detail+")")
		}
	}
	return names
}
