package seccomp

import (
	"testing"

	"golang.org/x/sys/unix"
)

const (
	self   = 4711
	other  = 1
	minus1 = 0xffffffffffffffff // as a C int that is sign-extended
	// PIDFD_SELF of linux/pidfd.h is -10000.
	pidfdSelf = 0xffffffffffffd8f0
	flags     = unix.SOCK_CLOEXEC | unix.SOCK_NONBLOCK
)

// glibc and musl ask for these when they start a thread.
const (
	glibcThread = 0x3d0f00
	muslThread  = 0x7d0f00
)

func TestArguments(t *testing.T) {
	type args = [6]uint64
	tests := []struct {
		variants string // c: child, p: child+pairs, e: child+egress, s: slot
		call     string
		args     args
		want     string
		why      string
	}{
		{"cpe", "clone", args{glibcThread}, "allow", "thread of glibc"},
		{"cpe", "clone", args{muslThread}, "allow", "thread of musl"},
		{"cpe", "clone", args{glibcThread | 0xabcd<<32}, "allow", "the kernel takes the low half"},
		{"cpe", "clone", args{uint64(unix.SIGCHLD)}, "EPERM", "fork"},
		{"cpe", "clone", args{unix.CLONE_VM | unix.CLONE_VFORK | uint64(unix.SIGCHLD)}, "EPERM", "posix_spawn"},
		{"cpe", "clone", args{glibcThread &^ unix.CLONE_THREAD}, "EPERM", "process that shares memory"},
		{"cpe", "clone", args{glibcThread | unix.CLONE_NEWUSER}, "EPERM", "namespace"},
		{"cpe", "clone", args{glibcThread | unix.CLONE_NEWNS}, "EPERM", "namespace"},
		{"cpe", "clone", args{glibcThread | unix.CLONE_NEWTIME}, "EPERM", "namespace"},
		{"cpe", "clone", args{glibcThread | unix.CLONE_PTRACE}, "EPERM", "flag no C library uses"},
		{"cpe", "clone", args{glibcThread | unix.CLONE_PIDFD}, "EPERM", "flag no C library uses"},
		{"s", "clone", args{uint64(unix.SIGCHLD)}, "allow", "a slot forks"},
		{"cpes", "execve", args{}, "EPERM", "exec"},
		{"s", "process_madvise", args{pidfdSelf}, "allow", "a child's own pages"},
		{"s", "process_madvise", args{3}, "EPERM", "another's"},
		{"cpe", "process_madvise", args{pidfdSelf}, "EPERM", "a run has madvise"},

		{"cpe", "kill", args{self, 9}, "allow", "itself"},
		{"ce", "kill", args{self, 36}, "allow", "a real-time signal"},
		{"p", "kill", args{self, 36}, "EPERM", "a real-time signal, counted for the uid"},
		{"p", "tkill", args{self, 32}, "EPERM", "a real-time signal, counted for the uid"},
		{"p", "tgkill", args{self, self, 36}, "EPERM", "a real-time signal, counted for the uid"},
		{"p", "bind", args{3}, "EPERM", "abstract names are the host's"},
		{"c", "bind", args{3}, "allow", "names of its own namespace"},
		{"cpe", "kill", args{other, 0}, "EPERM", "probing"},
		{"cpe", "kill", args{0, 15}, "EPERM", "own group"},
		{"cpe", "kill", args{minus1, 9}, "EPERM", "everybody"},
		{"cpe", "kill", args{uint64(0x100000000 - self), 9}, "EPERM", "group of the own pid"},
		{"cpe", "kill", args{0xffffffff_00000000 | self, 9}, "allow", "pid_t is 32 bits wide"},
		{"cpe", "kill", args{SelfPID, 9}, "EPERM", "the number kept for the own pid is gone"},
		{"cpe", "tgkill", args{self, self + 1, 6}, "allow", "abort in a thread"},
		{"cpe", "tgkill", args{other, other, 6}, "EPERM", "another"},
		{"cpe", "tkill", args{self, 6}, "allow", "raise of musl"},
		{"cpe", "tkill", args{self + 1, 6}, "EPERM", "may be anybody's thread"},
		{"cpe", "rt_sigqueueinfo", args{other}, "EPERM", "another"},
		{"cpe", "rt_tgsigqueueinfo", args{other}, "EPERM", "another"},
		{"cpe", "fcntl", args{3, unix.F_SETOWN, other}, "EPERM", "signals by SIGIO"},
		{"cpe", "fcntl", args{3, unix.F_SETOWN_EX}, "EPERM", "signals by SIGIO"},
		{"cpe", "fcntl", args{3, unix.F_SETSIG, 9}, "EPERM", "signals by SIGIO"},
		{"cpe", "ioctl", args{3, 0x8901, other}, "ENOTTY", "FIOSETOWN"},
		{"cpe", "ioctl", args{3, 0x8902, other}, "ENOTTY", "SIOCSPGRP"},
		{"cpe", "fcntl", args{3, unix.F_SETLEASE}, "EPERM", "lease"},
		{"cpe", "fcntl", args{3, unix.F_NOTIFY}, "EPERM", "watch"},
		{"cpe", "fcntl", args{3, unix.F_SETPIPE_SZ}, "EPERM", "quota of the uid"},
		{"cpe", "fcntl", args{3, unix.F_SETLK}, "skip", "sqlite"},
		{"cpe", "fcntl", args{3, unix.F_OFD_SETLK}, "EPERM", "a lock on a shared file"},
		{"cpe", "fcntl", args{3, unix.F_DUPFD_CLOEXEC}, "allow", "os.dup"},

		{"cpe", "prlimit64", args{0}, "allow", "itself"},
		{"cpe", "prlimit64", args{self}, "allow", "itself"},
		{"cpe", "prlimit64", args{other}, "EPERM", "another"},
		{"cpe", "sched_setaffinity", args{0}, "allow", "itself"},
		{"cpe", "sched_setaffinity", args{other}, "EPERM", "another"},
		{"cpe", "setpriority", args{unix.PRIO_PROCESS, 0, 19}, "allow", "os.nice(19)"},
		{"cpe", "setpriority", args{unix.PRIO_PROCESS, 0, minus1 - 9}, "EPERM", "os.nice(-10)"},
		{"cpe", "setpriority", args{unix.PRIO_PROCESS, other, 19}, "EPERM", "another"},
		{"cpe", "setpriority", args{unix.PRIO_USER, 0, 19}, "EPERM", "all of the uid"},
		{"cpe", "setpgid", args{0, 0}, "allow", "own group"},
		{"cpe", "setpgid", args{0, other}, "EPERM", "group of others"},
		{"cpe", "personality", args{0xffffffff}, "allow", "query"},
		{"cpe", "personality", args{0}, "EPERM", "set"},
		{"cpe", "personality", args{0x40000}, "EPERM", "no randomisation"},

		{"ce", "socket", args{unix.AF_UNIX, unix.SOCK_STREAM | flags}, "allow", "unix"},
		{"ce", "socket", args{unix.AF_UNIX, unix.SOCK_DGRAM}, "allow", "unix"},
		{"p", "socket", args{unix.AF_UNIX, unix.SOCK_STREAM}, "EPERM", "pairs only"},
		{"ce", "fchmodat", args{}, "allow", "modes"},
		{"p", "fchmodat", args{}, "EPERM", "modes of the uid's other files"},
		{"ce", "timer_create", args{}, "allow", "timers"},
		{"p", "timer_create", args{}, "EPERM", "timers of the uid"},
		{"ce", "rt_sigqueueinfo", args{self}, "allow", "queued to itself"},
		{"p", "rt_sigqueueinfo", args{self}, "EPERM", "queue of the uid"},
		{"cp", "socket", args{unix.AF_INET, unix.SOCK_STREAM}, "EPERM", "no network"},
		{"e", "socket", args{unix.AF_INET, unix.SOCK_STREAM}, "allow", "egress"},
		{"e", "socket", args{unix.AF_INET6, unix.SOCK_STREAM | flags, unix.IPPROTO_TCP}, "allow", "egress"},
		{"e", "socket", args{unix.AF_INET, unix.SOCK_DGRAM}, "EPERM", "UDP"},
		{"e", "socket", args{unix.AF_INET, unix.SOCK_RAW}, "EPERM", "raw"},
		{"e", "socket", args{unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_SCTP}, "EPERM", "SCTP"},
		{"e", "socket", args{unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_MPTCP}, "EPERM", "MPTCP"},
		{"cpes", "socket", args{unix.AF_NETLINK, unix.SOCK_RAW}, "EPERM", "netlink"},
		{"cpes", "socket", args{unix.AF_VSOCK, unix.SOCK_STREAM}, "EPERM", "vsock"},
		{"cpes", "socket", args{unix.AF_ALG, unix.SOCK_SEQPACKET}, "EPERM", "AF_ALG"},
		{"cpes", "socket", args{unix.AF_PACKET, unix.SOCK_RAW}, "EPERM", "packet"},
		{"s", "socket", args{unix.AF_INET, unix.SOCK_STREAM}, "allow", "left to the child's filter"},
		{"cpe", "socketpair", args{unix.AF_UNIX, unix.SOCK_STREAM | flags}, "allow", "asyncio"},
		{"ce", "socketpair", args{unix.AF_UNIX, unix.SOCK_DGRAM}, "allow", "harmless in a namespace"},
		{"p", "socketpair", args{unix.AF_UNIX, unix.SOCK_DGRAM}, "EPERM", "can be turned on other addresses"},
		{"p", "socketpair", args{unix.AF_UNIX, unix.SOCK_RAW}, "EPERM", "the kernel makes it a datagram socket"},
		{"cpe", "socketpair", args{30, unix.SOCK_STREAM}, "EPERM", "TIPC"},
		{"cpe", "setsockopt", args{3, unix.SOL_SOCKET, unix.SO_RCVBUF}, "allow", "buffer"},
		{"cpe", "setsockopt", args{3, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER}, "EPERM", "program"},
		{"cpe", "setsockopt", args{3, unix.SOL_SOCKET, unix.SO_ATTACH_BPF}, "EPERM", "program"},
		{"cpe", "setsockopt", args{3, unix.IPPROTO_TCP, unix.SO_ATTACH_FILTER}, "allow", "another option of the same number"},
		{"e", "setsockopt", args{3, unix.IPPROTO_TCP, unix.TCP_NODELAY}, "allow", "HTTP libraries"},
		{"e", "setsockopt", args{3, unix.IPPROTO_TCP, unix.TCP_ULP}, "EPERM", "TLS in the kernel"},
		{"e", "setsockopt", args{3, unix.IPPROTO_IP, 64}, "EPERM", "iptables"},
		{"e", "setsockopt", args{3, unix.IPPROTO_IPV6, 64}, "EPERM", "ip6tables"},

		{"cpe", "ioctl", args{0, unix.TCGETS}, "allow", "isatty"},
		{"cpe", "ioctl", args{0, unix.TIOCSTI}, "EPERM", "types"},
		{"cpe", "ioctl", args{0, unix.TIOCLINUX}, "EPERM", "types"},
		{"cpe", "ioctl", args{0, unix.TIOCSTI | 1<<32}, "EPERM", "the kernel takes the low half (CVE-2019-10063)"},
		{"cpe", "ioctl", args{0, 0x8914}, "ENOTTY", "SIOCSIFFLAGS"},
		{"cpe", "mknod", args{0, unix.S_IFIFO | 0o600}, "allow", "os.mkfifo"},
		{"cpe", "mknod", args{0, 0o600}, "allow", "plain file"},
		{"cpe", "mknod", args{0, unix.S_IFCHR | 0o600}, "EPERM", "device"},
		{"cpe", "mknodat", args{0, 0, unix.S_IFIFO}, "allow", "os.mkfifo"},
		{"cpe", "mknodat", args{0, 0, unix.S_IFBLK}, "EPERM", "device"},
		{"cpe", "prctl", args{unix.PR_SET_NAME}, "allow", "thread name"},
		{"cpe", "prctl", args{unix.PR_SET_VMA}, "allow", "names of memory"},
		{"cpe", "prctl", args{unix.PR_GET_NO_NEW_PRIVS}, "allow", "asking"},
		{"cpe", "prctl", args{unix.PR_SET_DUMPABLE, 1}, "EPERM", "traceable again"},
		{"cpe", "prctl", args{unix.PR_SET_PDEATHSIG, 0}, "EPERM", "outlives the slot"},
		{"cpe", "prctl", args{unix.PR_SET_CHILD_SUBREAPER, 1}, "EPERM", "reaper"},
		{"cpe", "prctl", args{unix.PR_SET_SECCOMP, 2}, "EPERM", "filters"},
		{"cpe", "prctl", args{unix.PR_SET_PTRACER}, "EPERM", "traceable"},
		{"cpe", "prctl", args{unix.PR_SET_MM}, "EPERM", "memory map"},
		{"s", "prctl", args{unix.PR_SET_DUMPABLE}, "allow", "a child confines itself"},
		{"s", "seccomp", args{}, "allow", "a child confines itself"},
		{"s", "landlock_restrict_self", args{}, "allow", "a child confines itself"},
		{"s", "unshare", args{}, "allow", "a child confines itself"},
	}
	variants := map[rune]Variant{'c': Child, 'p': ChildPairs, 'e': ChildEgress, 's': Slot}
	for _, tt := range tests {
		for _, letter := range tt.variants {
			for goarch, a := range archs {
				nr, ok := a.numbers[tt.call]
				if !ok {
					continue // mknod on arm64
				}
				prog := must(t, variants[letter], goarch).WithSelf(self)
				if got := run(t, prog, Data{Nr: uint32(nr), Arch: a.audit, Args: tt.args}); got != tt.want {
					t.Errorf("%s on %s: %s%x (%s): %s, want %s", variants[letter], goarch, tt.call, tt.args, tt.why, got, tt.want)
				}
			}
		}
	}
}
