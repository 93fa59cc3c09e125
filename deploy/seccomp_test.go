// Package deploy_test holds the files of this folder to what they stand for.
package deploy_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/profiles/seccomp"
	"github.com/opencontainers/runtime-spec/specs-go"
)

var update = flag.Bool("update", false, "write the generated files anew")

// namespaceCalls are what nsjail and a slot need on top of Docker's default
// profile, which allows them to CAP_SYS_ADMIN alone. Each process that runs
// user code refuses them again in its own filter. clone3, whose flags a filter
// cannot see, stays ENOSYS: everybody falls back to clone.
var namespaceCalls = []string{"clone", "mount", "pivot_root", "sethostname", "umount2", "unshare"}

// TestSeccompProfile holds seccomp.json to Docker's default profile, as of
// the version in go.mod, with one rule more. go test ./deploy -update writes it.
func TestSeccompProfile(t *testing.T) {
	profile := seccomp.DefaultProfile()
	profile.Syscalls = append(profile.Syscalls, &seccomp.Syscall{
		LinuxSyscall: specs.LinuxSyscall{Names: namespaceCalls, Action: specs.ActAllow},
		Comment:      "namespaces for nsjail and its children",
	})
	var want bytes.Buffer
	enc := json.NewEncoder(&want)
	enc.SetIndent("", "\t")
	if err := enc.Encode(profile); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("seccomp.json", want.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile("seccomp.json")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want.String(), string(got)); d != "" {
		t.Errorf("seccomp.json is not Docker's default and namespaces (-update writes it):\n%s", d)
	}
}
