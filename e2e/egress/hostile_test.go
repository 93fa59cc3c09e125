package egress

import (
	"regexp"
	"testing"
	"time"

	"github.com/python-code-executor/pyexec/e2e/corpus"
	"github.com/python-code-executor/pyexec/e2e/e2etest"
)

// What the corpora know of networks, where runs have a way out. The rest of
// them is the same with and without it.
var aboutNetworks = map[string]string{
	"own": `egress_.*|pair_unix_path_socket_[ab]|kernel_unix_canary_sockets|slot_.*|read_inherited_channels`,
	"shared": `tcp_connect_loopback_server|udp_dns|socket_netlink|socket_vsock|io_uring_socket|pair_abstract_socket_[ab]|` +
		`pair_tcp_loopback_[ab]|shutdown_shared_socket|sys_socket_ioctls|sys_unshare|sys_mount|capabilities_dropped|kill_pid_sweep`,
}

func TestHostileScriptsWithEgress(t *testing.T) {
	w := inWorld(t)
	canaries, err := corpus.NewCanaries()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(canaries.Close)
	s, _ := start(t, "--egress=public")
	ran := 0
	for which, dir := range map[string]string{"own": e2etest.Repo(t, "e2e", "hostile"), "shared": e2etest.Shared(t, "hostile")} {
		report, err := corpus.Run(t.Context(), s.BaseURL, corpus.Options{
			Dir: dir, Only: regexp.MustCompile("^(" + aboutNetworks[which] + ")$"), Policy: "off", Level: "full",
			Canaries: canaries, Linger: 100 * time.Millisecond, HostRoots: []string{t.TempDir()},
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range report.Outcomes {
			ran++
			if o.Failures != nil {
				t.Errorf("%s: %v: %s", o.Name, o.Failures, o.Answer)
			}
		}
	}
	if ran < 20 {
		t.Errorf("only %d scripts were run", ran)
	}
	if b := w.reached(); len(b) > 0 {
		t.Errorf("reached: %v", b)
	}
}
