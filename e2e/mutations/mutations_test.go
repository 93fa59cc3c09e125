// Package mutations shows that each layer of the sandbox carries weight: with
// a layer taken away, and with it those that stop the same attack, a script of
// the corpora succeeds; with the layer on it does not.
package mutations

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/python-code-executor/pyexec/e2e/corpus"
	"github.com/python-code-executor/pyexec/e2e/e2etest"
)

func TestMain(m *testing.M) { e2etest.Main(m) }

// mutation is one layer taken away.
type mutation struct {
	layer string
	with  []string // the other layers that stop the same attack
	level string   // to force; "" takes the highest
	own   bool     // the scripts are of e2e/hostile, not of the shared corpus
	red   string   // scripts of which each must then succeed in its attack
	args  []string // more flags, with and without the layer
}

var mutations = []mutation{
	{layer: "seccomp", red: "sys_unshare|sys_personality|socket_netlink"},
	// nsjail's own filter refuses these, too: without nsjail they are ours alone.
	{layer: "seccomp", args: []string{"--nsjail=none"}, red: "sys_keyctl|sys_io_uring|sys_userfaultfd"},
	{layer: "seccomp", with: []string{"cgroup", "rlimits"}, red: "fork_bomb_flat"},
	{layer: "pid_namespace", with: []string{"seccomp", "landlock"}, red: "kill_pid_sweep"},
	{layer: "mount_namespace", with: []string{"landlock"}, red: "write_outside_tmp|read_sensitive_files|sys_landlock_state"},
	{layer: "net_namespace", with: []string{"seccomp", "landlock"}, red: "tcp_connect_loopback_server|pair_abstract_socket_[ab]|pair_tcp_loopback_[ab]"},
	{layer: "ipc_namespace", with: []string{"seccomp"}, red: "pair_sysv_ipc_[ab]"},
	{layer: "landlock", level: "landlock", red: "read_sensitive_files|write_outside_tmp|sys_landlock_state"},
	{layer: "capabilities", red: "capabilities_dropped"},
	{layer: "capabilities", with: []string{"seccomp", "landlock"}, red: "sys_mount|sys_chroot_pivot"},
	{layer: "no_new_privs", with: []string{"capabilities", "seccomp"}, red: "capabilities_dropped"},
	{layer: "rlimits", with: []string{"cgroup", "memory_watcher"}, red: "thread_bomb"},
	{layer: "rlimits", red: "sys_timer_create_flood"},
	{layer: "cgroup", with: []string{"memory_watcher"}, red: "memory_over_the_limit", own: true},
	{layer: "private_tmp", with: []string{"rlimits", "cgroup", "memory_watcher"}, red: "tmp_fill_one_file"},
	{layer: "private_tmp", with: []string{"cgroup", "memory_watcher"}, red: "tmp_fill_inodes"},
}

// TestLayers takes each layer away, and then shows the twin: the same scripts
// on a server that has all of them.
func TestLayers(t *testing.T) {
	e2etest.RequireServer(t)
	if os.Getuid() != 0 {
		t.Skip("NOT TESTED: only root has cgroups to take away and files that others may not read")
	}
	dirs := map[bool]string{false: e2etest.Shared(t, "hostile"), true: e2etest.Repo(t, "e2e", "hostile")}
	canaries, err := corpus.NewCanaries()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(canaries.Close)
	attack := func(t *testing.T, m mutation, without []string) *corpus.Report {
		t.Helper()
		args := append([]string{"--policy=off", "--ready=2", "--timeout=30s"}, m.args...)
		if m.level != "" {
			args = append(args, "--unsafe-force-level="+m.level)
		}
		if without != nil {
			args = append(args, "--unsafe-disable-layers="+strings.Join(without, ","))
		}
		server := e2etest.StartWith(t, e2etest.Config{Args: args})
		only := regexp.MustCompile("^(" + m.red + ")$")
		report, err := corpus.Run(t.Context(), server.BaseURL, corpus.Options{
			Dir: dirs[m.own], Only: only, Policy: "off", Level: "full", Canaries: canaries,
			Patience: 25 * time.Second, // an attack that succeeds may take its time
			Linger:   100 * time.Millisecond, HostRoots: []string{t.TempDir()},
		})
		if err != nil {
			t.Fatal(err)
		}
		return report
	}
	for _, m := range mutations {
		t.Run(name(m), func(t *testing.T) {
			report := attack(t, m, append([]string{m.layer}, m.with...))
			for _, o := range report.Outcomes {
				// The first half of a pair only prepares the attack of the second.
				if o.Failures == nil && !strings.HasSuffix(o.Name, "_a") {
					t.Errorf("%s is contained without %s: %s", o.Name, m.layer, o.Answer)
				}
			}
			if len(report.Outcomes) == 0 {
				t.Error("no script was run")
			}
		})
	}
	// The twin: all of them at once, with every layer on.
	for _, level := range []string{"", "landlock"} {
		t.Run("twin at level "+level, func(t *testing.T) {
			red := map[bool][]string{}
			for _, m := range mutations {
				if m.level == level {
					red[m.own] = append(red[m.own], m.red)
				}
			}
			for own, names := range red {
				report := attack(t, mutation{level: level, own: own, red: strings.Join(names, "|")}, nil)
				for _, o := range report.Outcomes {
					if o.Failures != nil {
						t.Errorf("%s is not contained with every layer on: %v", o.Name, o.Failures)
					}
				}
				t.Logf("%d scripts, each contained", len(report.Outcomes))
			}
		})
	}
}

func name(m mutation) string {
	return strings.Join(append([]string{m.layer}, m.with...), "+") + ": " + m.red
}

// TestPolicy is the mutation of the check before the run: an operator's own
// switch takes it away.
func TestPolicy(t *testing.T) {
	dir := e2etest.Shared(t, "hostile")
	const red = "subprocess_run|os_system|parser_blocked_in_dead_code|parser_nfkc_blocked_name"
	types := map[string][]string{}
	for _, policy := range []string{"off", "standard"} {
		server := e2etest.Start(t, "--policy="+policy, "--ready=2")
		report, err := corpus.Run(t.Context(), server.BaseURL, corpus.Options{
			Dir: dir, Only: regexp.MustCompile("^(" + red + ")$"), Policy: policy,
			Linger: 100 * time.Millisecond, HostRoots: []string{t.TempDir()},
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range report.Outcomes {
			if strings.Contains(o.Answer, `"policy_violation"`) {
				types[policy] = append(types[policy], o.Name)
			}
		}
	}
	if len(types["off"]) != 0 || len(types["standard"]) != 4 {
		t.Errorf("refused by the policy: %v", types)
	}
}

// TestUnsafeIsVisible: a server without a layer says so wherever it says what
// it is.
func TestUnsafeIsVisible(t *testing.T) {
	e2etest.RequireServer(t)
	server := e2etest.Start(t, "--unsafe-disable-layers=landlock")
	if log := server.Log(); !strings.Contains(log, "for tests only") {
		t.Errorf("the log does not warn: %s", log)
	}
	_, health := get(t, server.BaseURL+"/health")
	iso, _ := health["isolation"].(map[string]any)
	layers, _ := iso["layers"].(map[string]any)
	landlock, _ := layers["landlock"].(map[string]any)
	if iso["level"] != "unsafe" || landlock["active"] != false {
		t.Errorf("/health says level %v, landlock %v", iso["level"], landlock)
	}
}

// TestRefused: with less than was asked for the server does not start, and
// says what is missing and what would give it.
func TestRefused(t *testing.T) {
	e2etest.RequireServer(t)
	binary, err := e2etest.Binary()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args string
		says []string
	}{
		{"--unsafe-force-level=landlock --require-isolation=full", []string{"asked for (full)", "landlock: not tried: it is less than what was asked for"}},
		{"--unsafe-force-level=seccomp", []string{"asked for (landlock)", "seccomp: not tried: it is less than what was asked for"}},
		{"--unsafe-force-level=landlock --require-isolation=pid_namespace", []string{"without pid_namespace", "systempaths=unconfined"}},
		{"--unsafe-disable-layers=landlock --require-isolation=full", []string{"without landlock", "--unsafe-disable-layers"}},
		{"--unsafe-disable-layers=cgroup --require-isolation=cgroup", []string{"without cgroup", "taken away"}},
		{"--nsjail=none --require-isolation=nsjail", []string{"without nsjail", "make setup"}},
		{"--unsafe-disable-layers=moon", []string{`"moon"`, "mount_namespace"}},
	} {
		t.Run(tt.args, func(t *testing.T) {
			start := time.Now()
			cmd := exec.CommandContext(t.Context(), binary, append([]string{"serve", "--addr=127.0.0.1:0"}, strings.Fields(tt.args)...)...)
			cmd.Env = append(os.Environ(), e2etest.Installed()...)
			out, _ := cmd.CombinedOutput()
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("refused only after %v", took)
			}
			if code := cmd.ProcessState.ExitCode(); code != 78 {
				t.Errorf("exit status %d, want 78", code)
			}
			if i := slices.IndexFunc(tt.says, func(s string) bool { return !strings.Contains(string(out), s) }); i >= 0 {
				t.Errorf("the message lacks %q:\n%s", tt.says[i], out)
			}
			if t.Failed() {
				t.Log(fmt.Sprint(string(out)))
			}
		})
	}
}

func get(t *testing.T, url string) (int, map[string]any) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var body map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&body); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, body
}

// TestLostLater: when a step of the confinement fails after the start, no run
// begins without it, /health and /execute are 503, and both recover by
// themselves.
func TestLostLater(t *testing.T) {
	e2etest.RequireServer(t)
	server := e2etest.Start(t, "--unsafe-force-level=landlock", "--ready=1")
	found, err := filepath.Glob(filepath.Join(os.TempDir(), fmt.Sprintf("pyexec-*-%d/scratch", server.Pid)))
	if err != nil || len(found) != 1 {
		t.Fatal("the server's scratch folder:", found, err)
	}
	mode := func(m os.FileMode) {
		if err := os.Chmod(found[0], m); err != nil {
			t.Fatal(err)
		}
	}
	execute := func() (int, string) {
		resp, err := http.Post(server.BaseURL+"/execute", "application/json", strings.NewReader(`{"script": "def main():\n    return 1"}`))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var body struct{ Error struct{ Type string } }
		_ = json.NewDecoder(resp.Body).Decode(&body)
		return resp.StatusCode, body.Error.Type
	}
	until := func(what string, done func() bool) {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); !done(); time.Sleep(200 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%s did not come about", what)
			}
		}
	}
	if os.Getuid() != 0 {
		t.Skip("NOT TESTED: needs root to take a folder away from the sandbox's uid")
	}
	mode(0) // the directory of a run can be neither made nor entered any more
	defer mode(0o700)
	until("503 of /execute", func() bool {
		status, kind := execute()
		if status != http.StatusOK && (status != http.StatusServiceUnavailable || kind != "unavailable") {
			t.Errorf("/execute: %d %s", status, kind)
		}
		return status == http.StatusServiceUnavailable
	})
	until("503 of /health", func() bool {
		status, body := get(t, server.BaseURL+"/health")
		if status == http.StatusServiceUnavailable {
			if reason, _ := body["reason"].(string); !strings.Contains(reason, "scratch directory") && !strings.Contains(reason, "working directory") {
				t.Errorf("the reason does not name the step: %s", reason)
			}
			return true
		}
		return false
	})
	mode(0o700)
	until("recovery", func() bool {
		status, _ := execute()
		health, _ := get(t, server.BaseURL+"/health")
		return status == http.StatusOK && health == http.StatusOK
	})
}
