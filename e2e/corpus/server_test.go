package corpus

import (
	"regexp"
	"testing"
	"time"

	"github.com/python-code-executor/pyexec/e2e/e2etest"
)

func TestMain(m *testing.M) { e2etest.Main(m) }

// serve starts a server beside canaries, its pool of one size, and returns the
// options to run a folder with: policy off, so that no refusal hides an
// escape, eight at a time, with short time limits.
func serve(t *testing.T, args ...string) (url string, o Options) {
	t.Helper()
	e2etest.RequireServer(t)
	canaries, err := NewCanaries()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(canaries.Close)
	server := e2etest.StartWith(t, e2etest.Config{
		Args: append([]string{"--policy=off", "--ready=4"}, args...),
		Env:  []string{"CORPUS_CANARY_SECRET=" + canaries.Secret},
	})
	before := server.Settle()
	return server.BaseURL, Options{
		Policy: "off", Timeout: 1500 * time.Millisecond, Slack: time.Second,
		Canaries: canaries, Pid: server.Pid,
		Leftovers: func() error { return server.Leftovers(before) },
	}
}

// TestServer runs both corpora through the real server, once, at the level
// that the machine gives. The whole matrix is make test-all.
func TestServer(t *testing.T) {
	url, o := serve(t)
	for name, dir := range map[string]func(*testing.T) string{
		"own":    func(t *testing.T) string { return e2etest.Repo(t, "e2e", "hostile") },
		"shared": func(t *testing.T) string { return e2etest.Shared(t, "hostile") },
	} {
		t.Run(name, func(t *testing.T) {
			o := o
			o.Dir = dir(t)
			Test(t, url, o)
		})
	}
}

// smoke are scripts that only Landlock and the filter stop where there are no
// namespaces, and some that must work there.
var smoke = regexp.MustCompile(`^(` +
	`read_sensitive_files|read_server_files|read_other_proc|write_outside_tmp|tmp_is_private_and_empty|tmp_awkward_names|` +
	`sys_landlock_state|sys_mount|sys_unshare|sys_keyctl|sys_io_uring|capabilities_dropped|env_secrets|exec_memfd|` +
	`kill_pid_sweep|fork_bomb_flat|thread_bomb_big_stacks|tcp_connect_loopback_server|udp_dns|socket_netlink|memory_list|fd_exhaustion|` +
	`pair_(tmp|sysv_ipc|abstract_socket|user_limits|proc_listing)_[ab]|` +
	`output_(special_files|symlinks)|kernel_unix_canary_sockets|numpy_pandas_canary|stdlib_canary|tenant_next_run_plain` +
	`)$`)

// TestLandlockLevel is a smoke of the level that a plain docker run gives.
func TestLandlockLevel(t *testing.T) {
	url, o := serve(t, "--unsafe-force-level=landlock")
	o.Only = smoke
	executed := 0
	for name, dir := range map[string]func(*testing.T) string{
		"own":    func(t *testing.T) string { return e2etest.Repo(t, "e2e", "hostile") },
		"shared": func(t *testing.T) string { return e2etest.Shared(t, "hostile") },
	} {
		t.Run(name, func(t *testing.T) {
			o := o
			o.Dir = dir(t)
			report := Test(t, url, o)
			if report.Level != "landlock" {
				t.Errorf("the server runs at level %s", report.Level)
			}
			n, _, _, _ := report.Counts()
			executed += n
		})
	}
	if executed < 5 {
		t.Errorf("only %d scripts were run", executed)
	}
}
