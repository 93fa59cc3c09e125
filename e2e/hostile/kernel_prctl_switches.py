# expect: blocked-or-contained
# property: [no-procs][tenant] prctl cannot undo what the sandbox set: dumpable, parent death signal, subreaper, tracer, capabilities, secure bits, memory map, system call dispatch, no_new_privs
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

SELECTOR = ctypes.c_char(0)          # system call dispatch that is on, and allows everything
TRIES = {"PDEATHSIG": (1, 0), "DUMPABLE": (4, 1), "KEEPCAPS": (8, 1), "SECUREBITS": (28, 0), "SUBREAPER": (36, 1), "NO_NEW_PRIVS": (38, 0), "PTRACER": (0x59616D61, -1),
         "AMBIENT": (47, 2, 0), "MM_START_CODE": (35, 1, 0x400000), "MM_EXE_FILE": (35, 13, 0), "SECCOMP_STRICT_off": (22, 0), "SPECULATION": (53, 0, 2),
         "USER_DISPATCH": (59, 1, 0, 0, ctypes.addressof(SELECTOR)), "IO_FLUSHER": (57, 1), "SCHED_CORE": (62, 1, 0, 0, 0), "CAPBSET_DROP": (24, 0)}


def main():
    done = [n for n, args in TRIES.items() if call((157, 167), *args, *([0] * (5 - len(args))))[0] == 0]
    now = {"dumpable": call((157, 167), 3)[0], "no_new_privs": call((157, 167), 39, 0, 0, 0, 0)[0], "seccomp": call((157, 167), 21)[0]}
    return {"contained": not done and now["dumpable"] != 1 and now["no_new_privs"] == 1, "done": done, "now": now}
