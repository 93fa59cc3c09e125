# expect: blocked-or-contained
# property: [host-file] calls for administrators (acct, swapon, quotactl, syslog, clocks, fanotify, bpf, host name, iopl, kexec) are refused, whatever their arguments
# class: kernel-surface

import ctypes, errno, platform

ARCH = platform.machine()


def call(numbers, *args):
    """One raw system call; numbers = (x86_64, aarch64). Returns (value, errno name)."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    ctypes.set_errno(0)
    r = libc.syscall(ctypes.c_long(numbers[0 if ARCH == "x86_64" else 1]), *[ctypes.c_long(a) if isinstance(a, int) else a for a in args])
    return r, (errno.errorcode.get(ctypes.get_errno(), "?") if r == -1 else "")

DENIED = ("EPERM", "EACCES", "ENOSYS")
CALLS = {"acct": ((163, 89), b"/corpus/none"), "swapon": ((167, 224), b"/corpus/none", 0), "swapoff": ((168, 225), b"/corpus/none"), "quotactl": ((179, 60), 0x800001, None, 0, None),
         "syslog_size": ((103, 116), 10, None, 0), "syslog_read": ((103, 116), 3, None, 0), "clock_settime": ((227, 112), 0, None), "settimeofday": ((164, 170), None, None),
         "fanotify_init": ((300, 262), 0, 0), "bpf": ((321, 280), 5, None, 0), "sethostname": ((170, 161), b"x", -1), "setdomainname": ((171, 162), b"x", -1), 
         "kexec_load": ((246, 104), 0, 0, None, -1), "delete_module": ((176, 106), b"corpus_none", 0), "reboot": ((169, 142), 0, 0, 0, None), "name_to_handle_at": ((303, 264), -100, b"/", None, None, 0),
         "lsm_set_self_attr": ((460, 460), 0, None, 0, 0), "landlock_restrict_self": ((446, 446), -1, 0), "seccomp": ((317, 277), 0, -1, None), "process_madvise": ((440, 440), -1, None, 0, 0, 0),
         "mbind": ((237, 235), 0, 0, 0, None, 0, 0), "add_key": ((248, 217), None, None, None, 0, 0), "memfd_secret": ((447, 447), -1), "quotactl_fd": ((443, 443), -1, 0, 0, None)}


def main():
    got = {n: call(*c) for n, c in CALLS.items()}
    let_through = {n: e or "OK" for n, (r, e) in got.items() if e not in DENIED}
    return {"contained": not let_through, "let_through": let_through}
