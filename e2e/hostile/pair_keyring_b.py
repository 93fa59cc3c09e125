# expect: blocked-or-contained
# property: [tenant] a key that run A adds (to its user, session or process keyring) is not found by run B: keyrings belong to a uid, not to a namespace
# class: tenant-isolation
# pair: pair_keyring_a
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

SEARCH = 10


def main():
    found = []
    for ring in (-2, -3, -4, -5):
        if call((250, 219), SEARCH, ring, b"user", b"corpus-tenant-key", 0)[0] >= 0:
            found.append(ring)
    if call((249, 218), b"user", b"corpus-tenant-key", None, 0)[0] >= 0:
        found.append("request_key")
    try:
        if "corpus-tenant-key" in open("/proc/keys").read():
            found.append("/proc/keys")
    except OSError:
        pass
    return {"contained": not found, "found": found}
