# expect: blocked-or-contained
# property: [tenant][no-conn] every thread is under the same filter: what is refused in the first thread is refused with the same error in eight others
# class: kernel-surface

import ctypes, errno, os, platform, threading

ARCH = platform.machine()


def call(numbers, *args):
    """One raw system call; numbers = (x86_64, aarch64). Returns (value, errno name)."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    ctypes.set_errno(0)
    r = libc.syscall(ctypes.c_long(numbers[0 if ARCH == "x86_64" else 1]), *[ctypes.c_long(a) if isinstance(a, int) else a for a in args])
    return r, (errno.errorcode.get(ctypes.get_errno(), "?") if r == -1 else "")

CALLS = {"unshare": ((272, 97), 0x10000000), "ptrace": ((101, 117), 0x4206, 0x7FFFFFF0, 0, 0), "keyctl": ((250, 219), 0, -3, 0), "bpf": ((321, 280), 0, 0, 0), "socket_inet": ((41, 198), 2, 1, 0),
         "socket_netlink": ((41, 198), 16, 3, 0), "execve": ((59, 221), b"/corpus/none", None, None), "fork": ((57, 220), 17), "io_uring": ((425, 425), 1, None), "mount": ((165, 40), None, None, None, 0, None),
         "memfd": ((319, 279), b"x", 0), "userfaultfd": ((323, 282), 0), "setns": ((308, 268), -1, 0), "shmget": ((29, 194), 0, 4096, 0o600)}
DENIED = ("EPERM", "EACCES", "ENOSYS")
THREADS = 8


def _try(into):
    got = {}
    for name, c in CALLS.items():
        r, why = call(*c)
        if name == "fork" and r == 0:
            os._exit(0)
        got[name] = why or "OK"
    into.append(got)


def main():
    seen = []
    _try(seen)
    threads = [threading.Thread(target=_try, args=(seen,)) for _ in range(THREADS)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    allowed = sorted({n for s in seen for n, e in s.items() if e not in DENIED})
    return {"contained": not allowed and all(s == seen[0] for s in seen), "allowed": allowed, "first": seen[0], "threads": len(seen)}
