# expect: blocked-or-contained
# property: [tenant][health][next-run] pid 1 of the run, its parent, its group and everybody at once cannot be signalled by any of the calls that send signals (harmless signals only)
# class: process

import ctypes, errno, os, platform, signal

ARCH = platform.machine()


def call(numbers, *args):
    """One raw system call; numbers = (x86_64, aarch64). Returns (value, errno name)."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    ctypes.set_errno(0)
    r = libc.syscall(ctypes.c_long(numbers[0 if ARCH == "x86_64" else 1]), *[ctypes.c_long(a) if isinstance(a, int) else a for a in args])
    return r, (errno.errorcode.get(ctypes.get_errno(), "?") if r == -1 else "")


def main():
    reached, info, quiet = [], ctypes.create_string_buffer(128), int(signal.SIGWINCH)
    ctypes.memmove(info, quiet.to_bytes(4, "little") + bytes(4) + (-1 & 0xFFFFFFFF).to_bytes(4, "little"), 12)
    for pid in {1, os.getppid() or 1, -1, 0}:
        for sig in (0, quiet):
            tries = {"kill": call((62, 129), pid, sig)[0]}
            if pid > 0:
                tries["tkill"] = call((200, 130), pid, sig)[0]
                tries["tgkill"] = call((234, 131), pid, pid, sig)[0]
                if sig:
                    tries["rt_sigqueueinfo"] = call((129, 138), pid, sig, info)[0]
                    tries["rt_tgsigqueueinfo"] = call((297, 240), pid, pid, sig, info)[0]
            if pid in (0, -1) and os.getpid() == 1:
                continue
            reached += [f"{name}({pid}, {sig})" for name, r in tries.items() if r == 0]
    return {"contained": not reached, "reached": reached}
