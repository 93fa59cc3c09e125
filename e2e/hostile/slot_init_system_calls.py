# expect: blocked-or-contained
# property: [tenant][no-secret][next-run] no system call that takes a pid reaches pid 1 of the run or its parent: neither memory, descriptors, priority, limits, CPU set nor memory placement
# class: process

import ctypes, errno, os, platform

ARCH = platform.machine()


def call(numbers, *args):
    """One raw system call; numbers = (x86_64, aarch64). Returns (value, errno name)."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    ctypes.set_errno(0)
    r = libc.syscall(ctypes.c_long(numbers[0 if ARCH == "x86_64" else 1]), *[ctypes.c_long(a) if isinstance(a, int) else a for a in args])
    return r, (errno.errorcode.get(ctypes.get_errno(), "?") if r == -1 else "")

ATTACH_SEIZE, PRIO_PROCESS, NOFILE = 0x4206, 0, 7


def main():
    reached, cpus = [], ctypes.create_string_buffer(sum(1 << n for n in os.sched_getaffinity(0)).to_bytes(128, "little"), 128)
    for pid in {1, os.getppid() or 1}:
        buf, old, new = ctypes.create_string_buffer(128), ctypes.create_string_buffer(16), ctypes.create_string_buffer(16)
        local = (ctypes.c_ulong * 2)(ctypes.addressof(buf), 1)
        remote = (ctypes.c_ulong * 2)(0x400000, 1)
        fd = call((434, 434), pid, 0)[0]
        nice = call((140, 141), PRIO_PROCESS, pid)[0]          # 20 - nice
        tries = {
            "pidfd_open": (fd, ""),
            "pidfd_getfd": call((438, 438), fd, 0, 0) if fd >= 0 else (-1, ""),
            "process_vm_readv": call((310, 270), pid, local, 1, remote, 1, 0),
            "ptrace_seize": call((101, 117), ATTACH_SEIZE, pid, 0, 0),
            "kcmp": call((312, 272), os.getpid(), pid, 0, 0, 0),
            "move_pages": call((279, 239), pid, 0, None, None, None, 0),
            "migrate_pages": call((256, 238), pid, 64, old, new),
            "prlimit64": call((302, 261), pid, NOFILE, None, old),
            "setpriority": call((141, 140), PRIO_PROCESS, pid, 20 - nice if nice > 0 else 0),       # to what it is
            "sched_setaffinity": call((203, 122), pid, 128, cpus),
            "ioprio_get": call((252, 31), 1, pid),
            "get_robust_list": call((274, 100), pid, buf, old),
            "setpgid": call((109, 154), pid, pid),
        }
        reached += [f"{name} of {pid}" for name, (r, why) in tries.items() if r >= 0 or why == "EFAULT"]
    return {"contained": not reached, "reached": reached}
