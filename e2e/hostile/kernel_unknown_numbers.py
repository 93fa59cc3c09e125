# expect: blocked-or-contained
# property: [health] numbers that no kernel of today has, negative ones and those of other tables are ENOSYS and kill nothing: a new call is closed until somebody opens it
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

NUMBERS = list(range(480, 512)) + list(range(548, 640)) + [1000, 4095, 65535, 1 << 20, (1 << 31) - 1, -2, -1000]


def main():
    other = {}
    for n in NUMBERS:
        r, why = call((n, n), 0, 0, 0, 0, 0, 0)
        if why not in ("ENOSYS", "EPERM"):
            other[n] = why or r
    return {"contained": not other, "other": dict(list(other.items())[:20])}
