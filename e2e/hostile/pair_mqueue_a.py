# expect: ok|blocked-or-contained
# property: [tenant] a POSIX message queue that run A leaves in the ipc namespace of its slot is not there for run B
# class: tenant-isolation
# pair: pair_mqueue_b
# pair-order: sequential and concurrent: a first

import ctypes, errno, platform

ARCH = platform.machine()


def call(numbers, *args):
    """One raw system call; numbers = (x86_64, aarch64). Returns (value, errno name)."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    ctypes.set_errno(0)
    r = libc.syscall(ctypes.c_long(numbers[0 if ARCH == "x86_64" else 1]), *[ctypes.c_long(a) if isinstance(a, int) else a for a in args])
    return r, (errno.errorcode.get(ctypes.get_errno(), "?") if r == -1 else "")

O_RDWR_CREAT = 0o102


def main():
    few = (ctypes.c_long * 8)(0, 2, 16)       # flags, messages, bytes each
    fd, why = call((240, 180), b"corpus-tenant-queue", O_RDWR_CREAT, 0o666, few)
    if fd >= 0:
        call((242, 182), fd, b"TENANT-A", 8, 1, None)
    return {"contained": True, "made": why or "OK"}
