package seccomp

import (
	"slices"
	"testing"

	docker "github.com/moby/profiles/seccomp"
	"golang.org/x/sys/unix"
)

// exceptions are the calls that the child may make although Docker's profile
// does not allow them to everybody. Each says why that widens nothing.
var exceptions = map[string]string{
	"clone":       "Docker: without namespace flags; ours: threads only, which is less",
	"socket":      "Docker: by address family; ours: AF_UNIX (TCP with egress), which is less",
	"personality": "Docker: by value; ours: the query only, which is less",
	"arch_prctl":  "Docker: on amd64 and x32; the call exists there only",
}

// unconditional are the names that Docker's profile allows to every container
// whatever the arguments.
func unconditional() []string {
	var out []string
	for _, s := range docker.DefaultProfile().Syscalls {
		always := s.Includes == nil || len(s.Includes.Caps) == 0 && len(s.Includes.Arches) == 0
		if s.Action == "SCMP_ACT_ALLOW" && len(s.Args) == 0 && always {
			out = append(out, s.Names...)
		}
	}
	return out
}

func allowed(p *policy) []string {
	var out []string
	for name, rules := range p.calls {
		if slices.ContainsFunc(rules, func(r rule) bool { return r.action == retAllow }) {
			out = append(out, name)
		}
	}
	return out
}

func TestDockersProfileIsTheUpperBound(t *testing.T) {
	bound := unconditional()
	if len(bound) < 300 {
		t.Fatalf("Docker's profile allows %d names: it is read wrongly", len(bound))
	}
	for _, v := range []Variant{Child, ChildPairs, ChildEgress} {
		p, err := load(v)
		if err != nil {
			t.Fatal(err)
		}
		names := allowed(p)
		for _, name := range names {
			if !slices.Contains(bound, name) && exceptions[name] == "" {
				t.Errorf("%s allows %s, Docker's profile does not", v, name)
			}
		}
		for name := range exceptions {
			if v != Child {
				break // child+pairs allows less
			}
			if slices.Contains(bound, name) || !slices.Contains(names, name) {
				t.Errorf("the exception %s is not needed", name)
			}
		}
	}
}

// Nothing is left out by oversight: each call of both tables is in a line of
// the child's policy, but the 64-bit-time calls of 32-bit machines.
func TestEveryKnownCallIsDecided(t *testing.T) {
	p, err := load(Child)
	if err != nil {
		t.Fatal(err)
	}
	for goarch, a := range archs {
		for name, nr := range a.numbers {
			if nr >= 403 && nr <= 423 || name == "arch_specific_syscall" {
				continue
			}
			if p.calls[name] == nil {
				t.Errorf("%s: no line for %s (%d)", goarch, name, nr)
			}
		}
	}
}

// The numbers of the policy are those of the kernel's headers.
func TestConstantsOfThePolicies(t *testing.T) {
	want := map[string]uint32{
		"self": SelfPID, "PERSONALITY_QUERY": 0xffffffff, "SOCK_FLAGS": unix.SOCK_CLOEXEC | unix.SOCK_NONBLOCK,
		"CLONE_OF_A_THREAD": unix.CLONE_VM | unix.CLONE_FS | unix.CLONE_FILES | unix.CLONE_SIGHAND | unix.CLONE_THREAD | unix.CLONE_SYSVSEM |
			unix.CLONE_SETTLS | unix.CLONE_PARENT_SETTID | unix.CLONE_CHILD_CLEARTID | unix.CLONE_DETACHED,
		"CLONE_THREAD": unix.CLONE_THREAD, "PRIO_PROCESS": unix.PRIO_PROCESS,
		"AF_UNIX": unix.AF_UNIX, "AF_INET": unix.AF_INET, "AF_INET6": unix.AF_INET6,
		"SOCK_STREAM": unix.SOCK_STREAM, "SOCK_SEQPACKET": unix.SOCK_SEQPACKET, "IPPROTO_TCP": unix.IPPROTO_TCP,
		"IPPROTO_IP": unix.IPPROTO_IP, "IPPROTO_IPV6": unix.IPPROTO_IPV6, "TCP_MD5SIG": unix.TCP_MD5SIG, "TCP_REPAIR": unix.TCP_REPAIR,
		"TCP_ULP": unix.TCP_ULP, "TCP_MD5SIG_EXT": unix.TCP_MD5SIG_EXT,
		"SOL_SOCKET": unix.SOL_SOCKET, "SO_ATTACH_FILTER": unix.SO_ATTACH_FILTER, "SO_LOCK_FILTER": unix.SO_LOCK_FILTER, "SO_ATTACH_BPF": unix.SO_ATTACH_BPF,
		"SO_ATTACH_REUSEPORT_CBPF": unix.SO_ATTACH_REUSEPORT_CBPF, "SO_ATTACH_REUSEPORT_EBPF": unix.SO_ATTACH_REUSEPORT_EBPF,
		"S_IFMT": unix.S_IFMT, "S_IFREG": unix.S_IFREG, "S_IFIFO": unix.S_IFIFO, "S_IFSOCK": unix.S_IFSOCK,
		"F_DUPFD": unix.F_DUPFD, "F_GETFD": unix.F_GETFD, "F_SETFD": unix.F_SETFD, "F_GETFL": unix.F_GETFL, "F_SETFL": unix.F_SETFL,
		"F_GETLK": unix.F_GETLK, "F_SETLK": unix.F_SETLK, "F_SETLKW": unix.F_SETLKW, "F_GETOWN": unix.F_GETOWN, "F_GETSIG": unix.F_GETSIG,
		"F_GETOWN_EX": unix.F_GETOWN_EX, "F_OFD_GETLK": unix.F_OFD_GETLK, "LAST_PLAIN_SIGNAL": 31,
		"F_DUPFD_QUERY": unix.F_DUPFD_QUERY, "F_DUPFD_CLOEXEC": unix.F_DUPFD_CLOEXEC, "F_GETPIPE_SZ": unix.F_GETPIPE_SZ, "F_GET_SEALS": unix.F_GET_SEALS,
		"FIONREAD": unix.TIOCINQ, "FIONBIO": 0x5421, "FIOCLEX": 0x5451, "FIONCLEX": 0x5450, "TCGETS": unix.TCGETS, "TCGETS2": unix.TCGETS2,
		"TIOCGWINSZ": unix.TIOCGWINSZ, "TIOCGPGRP": unix.TIOCGPGRP, "TIOCOUTQ": unix.TIOCOUTQ, "SIOCATMARK": 0x8905,
		"TIOCSTI": unix.TIOCSTI, "TIOCLINUX": unix.TIOCLINUX,
		"PR_GET_PDEATHSIG": unix.PR_GET_PDEATHSIG, "PR_GET_DUMPABLE": unix.PR_GET_DUMPABLE, "PR_GET_KEEPCAPS": unix.PR_GET_KEEPCAPS,
		"PR_SET_NAME": unix.PR_SET_NAME, "PR_GET_NAME": unix.PR_GET_NAME, "PR_GET_SECCOMP": unix.PR_GET_SECCOMP, "PR_CAPBSET_READ": unix.PR_CAPBSET_READ,
		"PR_GET_TSC": unix.PR_GET_TSC, "PR_GET_SECUREBITS": unix.PR_GET_SECUREBITS, "PR_SET_TIMERSLACK": unix.PR_SET_TIMERSLACK,
		"PR_GET_TIMERSLACK": unix.PR_GET_TIMERSLACK, "PR_GET_CHILD_SUBREAPER": unix.PR_GET_CHILD_SUBREAPER, "PR_SET_NO_NEW_PRIVS": unix.PR_SET_NO_NEW_PRIVS,
		"PR_GET_NO_NEW_PRIVS": unix.PR_GET_NO_NEW_PRIVS, "PR_GET_TID_ADDRESS": unix.PR_GET_TID_ADDRESS, "PR_SET_THP_DISABLE": unix.PR_SET_THP_DISABLE,
		"PR_GET_THP_DISABLE": unix.PR_GET_THP_DISABLE, "PR_SVE_GET_VL": unix.PR_SVE_GET_VL, "PR_GET_SPECULATION_CTRL": unix.PR_GET_SPECULATION_CTRL,
		"PR_PAC_RESET_KEYS": unix.PR_PAC_RESET_KEYS, "PR_GET_TAGGED_ADDR_CTRL": unix.PR_GET_TAGGED_ADDR_CTRL, "PR_GET_MDWE": unix.PR_GET_MDWE,
		"PR_SET_VMA": unix.PR_SET_VMA, "PR_GET_AUXV": unix.PR_GET_AUXV,
		"PIDFD_SELF": 0x1_0000_0000 - 10000,
	}
	for _, v := range []Variant{Child, Slot} {
		p, err := load(v)
		if err != nil {
			t.Fatal(err)
		}
		for name, got := range p.consts {
			if w, ok := want[name]; !ok || got != w {
				t.Errorf("%s: %s = %#x, headers say %#x (known: %v)", v, name, got, w, ok)
			}
		}
	}
}

func TestDenialsGiveReasons(t *testing.T) {
	got := map[string]Denial{}
	for _, d := range Denials() {
		if d.Reason == "" || d.Errno == "" {
			t.Errorf("%+v", d)
		}
		got[d.Name] = d
	}
	for name, want := range map[string]Denial{
		"fork":   {"fork", "EPERM", false, "one run is one process: no fork bomb, no daemon, and one SIGKILL ends it"},
		"kill":   {"kill", "EPERM", true, "signals go to the run itself only, not to groups, not to others"},
		"clone3": {"clone3", "ENOSYS", false, "its flags are behind a pointer that a filter cannot read; the C library then uses clone"},
		"ioctl":  {"ioctl", "ENOTTY", true, "every other ioctl is a driver's own interface"},
	} {
		if got[name] != want {
			t.Errorf("%+v, want %+v", got[name], want)
		}
	}
	if _, ok := got["read"]; ok || len(got) < 150 {
		t.Errorf("%d denials, read among them: %v", len(got), ok)
	}
	if d := got["setsockopt"]; d.Reason != "loads programs into the kernel" || !d.Partly {
		t.Errorf("%+v", d)
	}
}

func TestPoliciesThatAreRefused(t *testing.T) {
	for name, text := range map[string]string{
		"no reason":             "allow read",
		"unknown call":          "allow raed : typo",
		"decided twice":         "allow read : a\nrefuse read : b",
		"no last line":          "allow kill when arg0 is self : a",
		"no such argument":      "allow kill when arg6 is 1 : a\nrefuse kill : b",
		"no such name":          "allow kill when arg0 is ME : a\nrefuse kill : b",
		"unused name":           "let X = 1\nallow read : a",
		"named twice":           "let X = 0\nlet X = 1\nallow read when arg0 is X : a\nrefuse read : b",
		"the number of self":    "allow kill when arg0 is 0x7fff5049 : a\nrefuse kill : b",
		"a let of that number":  "let X = 0x7fff5049\nallow kill when arg0 is X : a\nrefuse kill : b",
		"no comparison":         "allow kill when arg0 : a\nrefuse kill : b",
		"half a mask":           "allow kill when arg0 masked 1 is : a\nrefuse kill : b",
		"half a condition":      "allow kill when arg0 is 1 and : a\nrefuse kill : b",
		"no conjunction":        "allow kill when arg0 is 1 arg1 is 2 : a\nrefuse kill : b",
		"unknown verb":          "kill read : a",
		"unknown error":         "errno EPANIC read : a",
		"nothing named":         "allow : a",
		"bad default":           "default kill",
		"a tag that nobody has": "allow read : a",
	} {
		tags := []string(nil)
		if name == "a tag that nobody has" {
			tags = []string{"egres"}
		}
		if _, err := parse("p", text, tags); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for _, v := range []Variant{"", "nothing", "child+egres", "../child"} {
		if _, err := Compile(v); err == nil {
			t.Errorf("variant %q: compiled", v)
		}
	}
	if _, err := CompileFor(Child, "riscv64"); err == nil {
		t.Error("riscv64: compiled")
	}
}
