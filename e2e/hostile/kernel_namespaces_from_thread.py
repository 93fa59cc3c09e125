# expect: blocked-or-contained
# property: [tenant] no new namespace, shared or copied file table by clone from a thread, and no entering of another namespace by setns
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

NEW = {"user": 0x10000000, "mount": 0x20000, "pid": 0x20000000, "net": 0x40000000, "ipc": 0x8000000, "uts": 0x4000000, "cgroup": 0x2000000, "time": 0x80}


def _try(done):
    for name, flag in NEW.items():
        if call((272, 97), flag)[0] == 0:
            done.append("unshare " + name)
    for name in ("user", "mnt", "pid", "net", "ipc", "uts", "cgroup", "pid_for_children", "time_for_children"):
        for pid in ("self", "1"):
            try:
                fd = os.open(f"/proc/{pid}/ns/{name}", os.O_RDONLY)
            except OSError:
                continue
            if call((308, 268), fd, 0)[0] == 0:
                done.append(f"setns {pid} {name}")
            os.close(fd)


def main():
    done = []
    t = threading.Thread(target=_try, args=(done,))
    t.start()
    t.join()
    _try(done)
    return {"contained": not done, "done": done}
