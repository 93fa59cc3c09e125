// Package seccomp turns the readable policies beside it (child.policy,
// slot.policy) into classic BPF, as the bytes that seccomp(2) takes.
//
// It installs nothing: the Python child does, as the last step of its own
// confinement. It knows nothing of levels or namespaces; the jail chooses the
// variant. Only the jail, and what shows the policy to people, may import it.
//
// Speed: the kernel runs a filter once per system call number when it is
// installed and remembers the numbers that are allowed whatever the arguments
// (since 5.11), so only conditional calls pay per call; those are found by
// binary search.
package seccomp

import (
	"embed"
	"fmt"
	"runtime"
	"sort"
	"strings"
)

// Variant names a policy and the tags that are set in it, joined by "+".
type Variant string

// The variants in use.
const (
	// Child is for user code: sockets of the family AF_UNIX only.
	Child Variant = "child"
	// ChildPairs is for user code without a network namespace: no sockets but
	// connected pairs, because a unix socket could be turned on the names and
	// paths of other processes.
	ChildPairs Variant = "child+pairs"
	// ChildEgress is for user code that may open TCP connections.
	ChildEgress Variant = "child+egress"
	// Slot is for the process that forks children.
	Slot Variant = "slot"
)

// SelfPID stands in a compiled filter for "my own pid", which is not known
// when the filter is compiled. The child replaces it by its pid, as it sees it
// itself, before it installs the filter. The four bytes occur nowhere else in
// the program, so one replacement of bytes does it (in Python:
// program.replace(struct.pack("<I", 0x7fff5049), struct.pack("<I", os.getpid()))).
const SelfPID = 0x7fff5049

//go:embed child.policy slot.policy
var policies embed.FS

// Compile makes the filter of a variant for the machine's own architecture.
func Compile(v Variant) (Program, error) {
	return CompileFor(v, runtime.GOARCH)
}

// CompileFor is Compile for a GOARCH: amd64 or arm64.
func CompileFor(v Variant, goarch string) (Program, error) {
	a, err := archOf(goarch)
	if err != nil {
		return nil, err
	}
	p, err := load(v)
	if err != nil {
		return nil, err
	}
	prog, err := compile(p, a)
	if err != nil {
		return nil, fmt.Errorf("seccomp: %s for %s: %w", v, goarch, err)
	}
	return prog, nil
}

// A Denial is a call that the policy for user code refuses, and why.
type Denial struct {
	Name   string
	Errno  string // EPERM, ENOSYS, ENOTTY; skip: success without a deed
	Partly bool   // some arguments are allowed
	Reason string
}

// Denials lists what the policy for user code refuses, by name of the call.
// For a call that is refused in part, the reason is that of its last line.
func Denials() []Denial {
	p, err := load(Child)
	if err != nil {
		panic("bug: " + err.Error()) // embedded, and compiled by every test
	}
	var out []Denial
	for name, rules := range p.calls {
		last := rules[len(rules)-1]
		d := Denial{Name: name, Partly: len(rules) > 1}
		for _, r := range rules {
			if r.action != retAllow {
				d.Errno, d.Reason = errnoName(r.action), r.reason
			}
		}
		if d.Errno == "" {
			continue
		}
		if last.action != retAllow {
			d.Reason = last.reason
		}
		out = append(out, d)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Name < out[j].Name })
	return out
}

// load reads the policy file of a variant with its tags set.
func load(v Variant) (*policy, error) {
	parts := strings.Split(string(v), "+")
	text, err := policies.ReadFile(parts[0] + ".policy")
	if err != nil {
		return nil, fmt.Errorf("seccomp: no policy %q", v)
	}
	p, err := parse(parts[0]+".policy", string(text), parts[1:])
	if err != nil {
		return nil, fmt.Errorf("seccomp: %w", err)
	}
	return p, nil
}
