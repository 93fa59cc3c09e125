package jail

import (
	"fmt"
	"os"
	"slices"
)

// nsjailArgs are nsjail's arguments beside its configuration file: what
// depends on this machine.
func (j *Jail) nsjailArgs(s spec, view *View, config string) []string {
	args := []string{j.opts.NSJail, "--config", config, "--pass_fd", "3"}
	for _, e := range zygoteEnv() {
		args = append(args, "-E", e)
	}
	if !s.perimeter() {
		return append(args, "--")
	}
	uid, gid := os.Getuid(), os.Getgid()
	if uid == 0 {
		uid, gid = j.opts.UID, j.opts.UID
	}
	args = append(args, "-u", fmt.Sprintf("65534:%d:1", uid), "-g", fmt.Sprintf("65534:%d:1", gid))
	for _, b := range view.Binds {
		flag := "-R"
		if b.Device {
			flag = "-B"
		}
		args = append(args, flag, b.argument())
	}
	for _, l := range view.Symlinks {
		args = append(args, "-s", l.Target+":"+l.Path)
	}
	for _, name := range all {
		if !slices.Contains(s.namespaces, name) { // taken away by a test
			args = append(args, "--disable_clone_new"+name)
		}
	}
	if j.opts.Unsafe.off("no_new_privs") {
		args = append(args, "--disable_no_new_privs")
	}
	return append(args, "--")
}

// perimeter says whether nsjail makes namespaces and a view of its own at
// this level; where it cannot, it only sets limits and its filter.
func (s spec) perimeter() bool { return s.nsjail != "minimal.cfg" }

// layers are the protections that the child puts on itself besides namespaces.
func (s spec) layers() []string {
	layers := []string{"capabilities", "no_new_privs", "seccomp"}
	if s.landlock {
		layers = append(layers, "landlock")
	}
	return layers
}

// enabled leaves out what a test has turned off.
func (j *Jail) enabled(names []string) []string {
	out := []string{}
	for _, name := range names {
		if !j.opts.Unsafe.off(name) {
			out = append(out, name)
		}
	}
	return out
}
