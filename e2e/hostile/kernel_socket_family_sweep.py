# expect: blocked-or-contained
# property: [no-conn] of all address families and types only unix sockets can be made: no AF_ALG, packet, vsock, netlink, tipc, can, xdp, kcm, mctp or any newer one
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

FAMILIES, TYPES, UNIX = 64, (1, 2, 3, 4, 5, 6, 10), 1


def main():
    made = []
    pair = (ctypes.c_int * 2)()
    for family in range(FAMILIES):
        if family == UNIX:
            continue
        for kind in TYPES:
            if call((41, 198), family, kind, 0)[0] >= 0:
                made.append([family, kind])
            if call((53, 199), family, kind, 0, pair)[0] >= 0:
                made.append([family, kind, "pair"])
    return {"contained": not made, "made": made[:20]}
