# expect: ok|blocked-or-contained
# property: [mem][tenant][next-run] kernel objects that count for the whole machine (aio contexts, locked pages, keys, epoll watches) cannot be piled up
# class: resource

import ctypes, errno, platform

ARCH = platform.machine()


def call(numbers, *args):
    """One raw system call; numbers = (x86_64, aarch64). Returns (value, errno name)."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    ctypes.set_errno(0)
    r = libc.syscall(ctypes.c_long(numbers[0 if ARCH == "x86_64" else 1]), *[ctypes.c_long(a) if isinstance(a, int) else a for a in args])
    return r, (errno.errorcode.get(ctypes.get_errno(), "?") if r == -1 else "")

MOST = 256


def main():
    contexts = 0
    for _ in range(MOST):
        ctx = ctypes.c_ulong(0)
        if call((206, 0), 1000, ctypes.byref(ctx))[0] != 0:
            break
        contexts += 1
    locked = call((149, 228), 0, 0)[0] == 0 and call((151, 230), 1)[0] == 0
    return {"contained": contexts < MOST and not locked, "contexts": contexts, "locked": locked}
