package jail

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	pyexec "github.com/python-code-executor/pyexec"
	"github.com/python-code-executor/pyexec/internal/wire"
)

//go:embed attack.py
var attackScript string

// attackTime bounds the self-test of a level.
const attackTime = 10 * time.Second

// findings is what the attack script tells. It is believed only when it says
// that something was reached: a level is refused by that.
type findings struct {
	Attempts    map[string]string `json:"attempts"`
	Descriptors []int             `json:"descriptors"`
	Namespaces  map[string]string `json:"namespaces"`
	Status      map[string]string `json:"status"`
	Processes   int               `json:"processes"`
	Proc        bool              `json:"proc"`
	UID         int               `json:"uid"`
}

// Refusal says why no level that was asked for can be had here.
type Refusal struct {
	Want    Requirement
	Reasons []Reason // one for each level that was tried
}

// Reason is why one level cannot be had.
type Reason struct {
	Level Level
	Err   error
}

// String says what failed, and what would give the level.
func (r Reason) String() string {
	return fmt.Sprintf("%s: %v%s", r.Level, r.Err, remedy(r.Err))
}

func (r *Refusal) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "this platform does not give the isolation that was asked for (%s)", r.Want)
	for _, reason := range r.Reasons {
		fmt.Fprintf(&b, "\n- %s", reason)
	}
	return b.String()
}

// choose tries the levels from the highest down and installs the first that
// holds.
func (j *Jail) choose(ctx context.Context) error {
	refusal := &Refusal{Want: j.opts.Require}
	if len(j.opts.Unsafe.Without) > 0 {
		j.log.Warn("layers of the sandbox were taken away: this server is for tests only", "layers", j.opts.Unsafe.Without)
	}
	if gone := j.opts.Unsafe.Without; len(gone) > 0 && j.opts.Require.Level != defaultRequirement && j.opts.Require.Level != SeccompOnly {
		err := fmt.Errorf("without %s, which --unsafe-disable-layers has taken away", strings.Join(gone, ", "))
		refusal.Reasons = append(refusal.Reasons, Reason{j.opts.Require.Level, err})
		return refusal
	}
	for _, s := range specs {
		if forced := j.opts.Unsafe.Level; forced != "" && s.level != forced {
			continue
		}
		if !j.opts.Require.allows(s.level) {
			refusal.Reasons = append(refusal.Reasons, Reason{s.level, errors.New("not tried: it is less than what was asked for")})
			break
		}
		s = j.opts.Unsafe.apply(s)
		g, isolation, err := j.try(ctx, s)
		if ctx.Err() != nil {
			return ctx.Err() // in the error's place: no other level is to be tried
		}
		if err != nil {
			j.log.Debug("isolation level cannot be had", "level", s.level, "error", err)
			refusal.Reasons = append(refusal.Reasons, Reason{s.level, err})
			continue
		}
		if missing := j.opts.Require.missing(isolation); len(missing) > 0 {
			g.retire()
			g.stop()
			refusal.Reasons = append(refusal.Reasons, Reason{s.level, fmt.Errorf("without %s", strings.Join(missing, "; without "))})
			continue
		}
		j.spec, j.isolation, j.tried = s, isolation, refusal.Reasons
		j.install(g)
		return nil
	}
	return refusal
}

// try starts a generation at a level, makes a real child and attacks from
// inside it.
func (j *Jail) try(ctx context.Context, s spec) (*generation, pyexec.Isolation, error) {
	g, err := j.newGeneration(ctx, s)
	if err != nil {
		return nil, pyexec.Isolation{}, err
	}
	j.wg.Go(g.growAll) // the imports take long, and this level is likely to hold
	found, err := j.attack(ctx, g, false)
	if err == nil {
		err = j.judge(s, found)
	}
	if err == nil && j.opts.Egress != nil {
		err = j.attackEgress(ctx, g, s)
	}
	if err != nil {
		g.retire()
		g.stop()
		return nil, pyexec.Isolation{}, err
	}
	return g, j.describe(s, found), nil
}

// attack runs the attack script as user code.
func (j *Jail) attack(ctx context.Context, g *generation, egress bool) (*findings, error) {
	ctx, cancel := context.WithTimeout(ctx, attackTime)
	defer cancel()
	s, err := g.root().slot(ctx, g, egress)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	if err := s.Prepare(ctx); err != nil {
		return nil, fmt.Errorf("confine a child: %w", err)
	}
	canary := filepath.Join(j.dir, "canary")
	if err := os.WriteFile(canary, []byte("canary"), 0o644); err != nil { //nolint:gosec // the sandbox's uid must be able to read it
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0") // of the server: not to be reached
	if err != nil {
		return nil, fmt.Errorf("attack from inside: %w", err)
	}
	defer listener.Close()
	input, err := json.Marshal(map[string]any{
		"canary": canary, "beside_canary": "/var/tmp/pyexec-attack", "python": j.opts.Python,
		"port": listener.Addr().(*net.TCPAddr).Port,
	})
	if err != nil {
		return nil, err
	}
	s.policy = wire.PolicyOff
	res, err := s.Run(ctx, pyexec.Request{
		Script: attackScript, Input: input, Timeout: attackTime, Memory: j.opts.Limits.Memory,
	})
	if err != nil {
		return nil, fmt.Errorf("attack from inside: %w", err)
	}
	if res.Failure != nil {
		return nil, fmt.Errorf("attack from inside: %s: %s %s", res.Failure.Type, res.Failure.Message, res.Failure.Traceback)
	}
	found := &findings{}
	if err := json.Unmarshal(res.Value, found); err != nil {
		return nil, fmt.Errorf("attack from inside: %w", err)
	}
	return found, nil
}

// judge refuses a level at which something was reached that it must close.
func (j *Jail) judge(s spec, f *findings) error {
	var reached []string
	for name, state := range f.Attempts {
		if state != "refused" && name != "write_tmp" && !j.excused(s, name) {
			reached = append(reached, name)
		}
	}
	if f.Attempts["write_tmp"] != "reached" {
		reached = append(reached, "nothing to write in: the run has no temporary directory")
	}
	if len(f.Descriptors) > 0 {
		reached = append(reached, fmt.Sprintf("descriptors %v of the zygote", f.Descriptors))
	}
	for _, name := range s.namespaces {
		kernel := name
		if name == "mount" {
			kernel = "mnt"
		}
		ours, _ := os.Readlink("/proc/self/ns/" + kernel)
		if theirs, ok := f.Namespaces[kernel]; ok && theirs == ours {
			reached = append(reached, "the server's "+name+" namespace")
		}
	}
	if slices.Contains(s.namespaces, "pid") && f.Processes > 0 && slices.Contains(j.enabled(s.layers()), "seccomp") {
		reached = append(reached, fmt.Sprintf("%d other processes", f.Processes))
	}
	if len(reached) == 0 {
		return nil
	}
	slices.Sort(reached)
	return fmt.Errorf("an attack from inside reached: %s", strings.Join(reached, ", "))
}

// excused are the attempts that a layer which a test has turned off would
// have refused, and those that the level says it leaves open.
func (j *Jail) excused(s spec, attempt string) bool {
	if len(j.opts.Unsafe.Without) > 0 {
		return true
	}
	if s.level == SeccompOnly {
		return slices.Contains([]string{"read_outside", "write_outside", "write_system", "read_parent_environ"}, attempt)
	}
	return false
}

// describe lists the layers, each with its state.
func (j *Jail) describe(s spec, f *findings) pyexec.Isolation {
	iso := pyexec.Isolation{Level: string(s.level)}
	if len(j.opts.Unsafe.Without) > 0 {
		iso.Level = UnsafeLevel
	}
	networks, sockets := "", plainSockets
	if j.opts.Egress != nil {
		networks = "runs with egress: one for each, a loopback on which the proxy listens"
		sockets += "; runs with egress: and TCP"
	}
	add := func(name string, active bool, detail string) {
		if j.opts.Unsafe.off(name) {
			active, detail = false, errTakenAway.Error()
		}
		iso.Layers = append(iso.Layers, pyexec.Layer{Name: name, Active: active, Detail: detail})
	}
	if j.opts.NSJail == "" {
		add("nsjail", false, "the nsjail binary was not found: "+remedyNSJail)
	} else if s.perimeter() {
		add("nsjail", true, "all namespaces, read-only view, seccomp ("+s.nsjail+")")
	} else {
		add("nsjail", true, "limits and seccomp only ("+s.nsjail+"): the platform allows it no namespaces")
	}
	namespaces := s.namespaces
	for _, name := range all {
		active := slices.Contains(namespaces, name)
		detail := choose(name == "net", networks, "")
		if !active {
			detail = remedyNamespaces
		}
		add(name+"_namespace", active, detail)
	}
	own := slices.Contains(namespaces, "mount")
	hosts := choose(s.landlock, "the host's, closed by Landlock", "the host's, open to whatever the uid may read")
	add("private_tmp", own, choose(own, "a tmpfs of its own, bounded in size and files", "a directory of its own, emptied after each run; each file is bounded, their number and their sum are not: "+remedyNamespaces))
	add("private_proc", s.proc != "none", map[string]string{
		"fresh": "only the run's own processes", "empty": "none at all: an ancestor's /proc is masked", "none": hosts,
	}[s.proc])
	add("read_only_view", own, choose(own, "only what Python needs", hosts))
	layers := j.enabled(s.layers())
	add("capabilities", slices.Contains(layers, "capabilities"), "none, and none to be had")
	add("no_new_privs", slices.Contains(layers, "no_new_privs"), "")
	ll := slices.Contains(layers, "landlock")
	add("landlock", ll, choose(ll, fmt.Sprintf("ABI %d", landlockABI()), "not offered by this kernel: Linux 5.13 with landlock in lsm=, or Docker 20.10.18"))
	add("seccomp", slices.Contains(layers, "seccomp"), sockets)
	add("rlimits", true, "")
	if j.cgroups != nil {
		add("cgroup", true, j.cgroups.String())
		add("memory_watcher", false, "not needed: the cgroup bounds memory")
	} else {
		add("cgroup", false, fmt.Sprintf("%v: %s", j.noGroup, remedyCgroup))
		add("memory_watcher", true, "RLIMIT_AS, and the run's private memory read every "+watchInterval.String())
	}
	return iso
}

func choose(b bool, yes, no string) string {
	if b {
		return yes
	}
	return no
}

const (
	remedyNSJail     = "run make setup, or give --nsjail=PATH"
	remedyNamespaces = "in Docker give --security-opt seccomp=deploy/seccomp.json and " + remedyProc + "; on Ubuntu 24.04 load deploy/apparmor/pyexec, or set kernel.apparmor_restrict_unprivileged_userns=0"
	remedyProc       = "--security-opt systempaths=unconfined"
	remedyCgroup     = "run as root, or in a systemd unit with Delegate=memory pids"
)

// remedy names what would give a level that failed.
func remedy(err error) string {
	var failed *wire.StepFailed
	if errors.As(err, &failed) {
		switch failed.Step {
		case "unshare", "uid_map":
			return "; " + remedyNamespaces
		case "mount /proc":
			return "; in Docker give " + remedyProc
		case "landlock":
			return "; needs Linux 5.13 with landlock in lsm="
		}
		return ""
	}
	switch text := err.Error(); { // what nsjail wrote before it ended
	case strings.Contains(text, "clone(flags=CLONE_NEW"):
		return "\n  " + remedyNamespaces
	case strings.Contains(text, "mount mandatory point: '/proc'"):
		return "\n  in Docker give " + remedyProc
	}
	return ""
}
