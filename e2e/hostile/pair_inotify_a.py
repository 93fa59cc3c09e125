# expect: blocked-or-contained
# property: [tenant] run A cannot watch shared read-only files and so learn which modules run B imports: inotify works by inode, whatever the mount namespace
# class: tenant-isolation
# pair: pair_inotify_b
# pair-order: concurrent: a first

import ctypes, errno, os, platform, select

ARCH = platform.machine()


def call(numbers, *args):
    """One raw system call; numbers = (x86_64, aarch64). Returns (value, errno name)."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    ctypes.set_errno(0)
    r = libc.syscall(ctypes.c_long(numbers[0 if ARCH == "x86_64" else 1]), *[ctypes.c_long(a) if isinstance(a, int) else a for a in args])
    return r, (errno.errorcode.get(ctypes.get_errno(), "?") if r == -1 else "")

HOLD_MS, ALL_EVENTS = 2000, 0xFFF


def main():
    fd, why = call((294, 26), 0o4000)
    if fd < 0:
        return {"contained": why in ("EPERM", "EACCES", "ENOSYS"), "why": why}
    stdlib = os.path.dirname(os.__file__)
    watched = 0
    for place in (stdlib, stdlib + "/wave.py", stdlib + "/encodings", "/usr/lib", "/proc", "/dev", "/"):
        watched += call((254, 27), fd, place.encode(), ALL_EVENTS)[0] >= 0
    poller = select.poll()
    poller.register(fd, select.POLLIN)
    return {"contained": not poller.poll(HOLD_MS), "watched": watched}
