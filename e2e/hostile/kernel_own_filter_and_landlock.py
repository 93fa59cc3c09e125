# expect: ok|blocked-or-contained
# property: [no-procs][deadline][next-run] a filter of user code with a listener, or one that kills, does not let it supervise, stop or hide itself from the sandbox
# class: kernel-surface

import ctypes, errno, platform, struct

ARCH = platform.machine()


def call(numbers, *args):
    """One raw system call; numbers = (x86_64, aarch64). Returns (value, errno name)."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    ctypes.set_errno(0)
    r = libc.syscall(ctypes.c_long(numbers[0 if ARCH == "x86_64" else 1]), *[ctypes.c_long(a) if isinstance(a, int) else a for a in args])
    return r, (errno.errorcode.get(ctypes.get_errno(), "?") if r == -1 else "")

SET_FILTER, NEW_LISTENER, RET_USER_NOTIF = 1, 8, 0x7FC00000


def main():
    program = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0x7FFF0000), 8)          # allow all
    fprog = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", 1, ctypes.addressof(program)), 16)
    r, why = call((317, 277), SET_FILTER, NEW_LISTENER, fprog)
    return {"contained": r < 0, "listener": why or "OK"}
