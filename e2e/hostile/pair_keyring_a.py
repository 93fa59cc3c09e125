# expect: ok|blocked-or-contained
# property: [tenant] a key that run A adds (to its user, session or process keyring) is not found by run B: keyrings belong to a uid, not to a namespace
# class: tenant-isolation
# pair: pair_keyring_b
# pair-order: sequential, B several times: a first

import ctypes, errno, platform

ARCH = platform.machine()


def call(numbers, *args):
    """One raw system call; numbers = (x86_64, aarch64). Returns (value, errno name)."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    ctypes.set_errno(0)
    r = libc.syscall(ctypes.c_long(numbers[0 if ARCH == "x86_64" else 1]), *[ctypes.c_long(a) if isinstance(a, int) else a for a in args])
    return r, (errno.errorcode.get(ctypes.get_errno(), "?") if r == -1 else "")


def main():
    made = {}
    for ring in (-1, -2, -3, -4, -5):     # thread, process, session, user, user session
        made[ring] = call((248, 217), b"user", b"corpus-tenant-key", b"tenant-a", 8, ring)[1] or "OK"
    return {"contained": True, "made": made}
