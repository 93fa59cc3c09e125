"""The system calls that Python has no function for, by ctypes.

Everything here raises OSError with the name of the call, so that a step that
fails says which one it was.  Nothing here decides policy.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct

_libc = ctypes.CDLL(None, use_errno=True)
_syscall = _libc.syscall
_syscall.restype = ctypes.c_long

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_REMOUNT, MS_NOATIME, MS_RELATIME = 32, 1024, 1 << 21
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
MNT_DETACH = 2

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_GET_SECCOMP = 21
PR_CAPBSET_DROP = 24
PR_SET_SECUREBITS = 28
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38
PR_GET_NO_NEW_PRIVS = 39
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_CLEAR_ALL = 4

# The same numbers on every architecture since Linux 5.x; older calls differ.
_NR_LANDLOCK_CREATE_RULESET = 444
_NR_LANDLOCK_ADD_RULE = 445
_NR_LANDLOCK_RESTRICT_SELF = 446
_NR_CLOSE_RANGE = 436
_NR_PROCESS_MADVISE = 440
_NR = {
    "x86_64": {"seccomp": 317, "capset": 126, "capget": 125, "pivot_root": 155},
    "aarch64": {"seccomp": 277, "capset": 91, "capget": 90, "pivot_root": 41},
}[platform.machine()]

_PIDFD_SELF = -10000

_CAP_VERSION_3 = 0x20080522
_SECCOMP_SET_MODE_FILTER = 1
_SECCOMP_FILTER_FLAG_TSYNC = 1


def _raise(what: str) -> None:
    number = ctypes.get_errno()
    raise OSError(number, f"{what}: {os.strerror(number)}")


_madvise = _libc.madvise
_madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
# A prototype of its own: the shared one guesses types, which costs time.
_process_madvise = ctypes.CFUNCTYPE(
    ctypes.c_long, ctypes.c_long, ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_uint
)(("syscall", _libc))


def madvise(start: int, length: int, advice: int) -> None:
    """Advice about the caller's own memory, which the kernel need not take."""
    _madvise(start, length, advice)


def process_madvise(areas: bytes, count: int, advice: int) -> int:
    """The same for many areas, a packed struct iovec[]; how many bytes were
    advised.  PIDFD_SELF is of Linux 6.14, such advice to oneself of 6.13."""
    return int(_process_madvise(_NR_PROCESS_MADVISE, _PIDFD_SELF, areas, count, advice, 0))


def unshare(flags: int) -> None:
    if _libc.unshare(ctypes.c_int(flags)) != 0:
        _raise("unshare")


def mount(source: str, target: str, fstype: str | None, flags: int, data: str | None) -> None:
    if _libc.mount(
        source.encode(),
        target.encode(),
        fstype.encode() if fstype else None,
        ctypes.c_ulong(flags),
        data.encode() if data else None,
    ) != 0:
        _raise(f"mount {target}")


def umount(target: str, flags: int) -> None:
    if _libc.umount2(target.encode(), ctypes.c_int(flags)) != 0:
        _raise(f"umount {target}")


def pivot_root(new: str, old: str) -> None:
    if _syscall(ctypes.c_long(_NR["pivot_root"]), new.encode(), old.encode()) != 0:
        _raise("pivot_root")


def prctl(option: int, value: int = 0, arg3: int = 0) -> int:
    result: int = _libc.prctl(
        ctypes.c_int(option), ctypes.c_ulong(value), ctypes.c_ulong(arg3), ctypes.c_ulong(0), ctypes.c_ulong(0)
    )
    if result < 0:
        _raise(f"prctl {option}")
    return result


def close_from(first: int) -> None:
    """Closes every descriptor from first on."""
    if _syscall(ctypes.c_long(_NR_CLOSE_RANGE), ctypes.c_uint(first), ctypes.c_uint(0xFFFFFFFF), ctypes.c_uint(0)) != 0:
        # gVisor before 2023 and kernels before 5.9 have no close_range.
        os.closerange(first, os.sysconf("SC_OPEN_MAX"))


def set_capabilities(mask: int) -> None:
    """Makes mask the effective and permitted set; the inheritable one empty."""
    header = struct.pack("=Ii", _CAP_VERSION_3, 0)
    low, high = mask & 0xFFFFFFFF, mask >> 32
    data = struct.pack("=6I", low, low, 0, high, high, 0)
    if _syscall(ctypes.c_long(_NR["capset"]), header, data) != 0:
        _raise("capset")


def get_capabilities() -> int:
    """All bits that stand in any of the three sets."""
    header = ctypes.create_string_buffer(struct.pack("=Ii", _CAP_VERSION_3, 0), 8)
    data = ctypes.create_string_buffer(24)
    if _syscall(ctypes.c_long(_NR["capget"]), header, data) != 0:
        _raise("capget")
    e0, p0, i0, e1, p1, i1 = struct.unpack("=6I", data.raw)
    return (e0 | p0 | i0) | (e1 | p1 | i1) << 32


def landlock_abi() -> int:
    """The kernel's Landlock ABI, 0 where there is none."""
    version = _syscall(ctypes.c_long(_NR_LANDLOCK_CREATE_RULESET), None, ctypes.c_size_t(0), ctypes.c_uint(1))
    return max(int(version), 0)


def landlock_create_ruleset(attributes: bytes) -> int:
    fd = _syscall(
        ctypes.c_long(_NR_LANDLOCK_CREATE_RULESET), attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint(0)
    )
    if fd < 0:
        _raise("landlock_create_ruleset")
    return int(fd)


def landlock_allow_path(ruleset: int, access: int, path_fd: int) -> None:
    rule = struct.pack("=Qi", access, path_fd)  # struct landlock_path_beneath_attr, packed
    if _syscall(
        ctypes.c_long(_NR_LANDLOCK_ADD_RULE), ctypes.c_int(ruleset), ctypes.c_int(1), rule, ctypes.c_uint(0)
    ) != 0:
        _raise("landlock_add_rule")


def landlock_allow_connect(ruleset: int, port: int) -> None:
    rule = struct.pack("=QQ", 2, port)  # struct landlock_net_port_attr; LANDLOCK_ACCESS_NET_CONNECT_TCP
    if _syscall(
        ctypes.c_long(_NR_LANDLOCK_ADD_RULE), ctypes.c_int(ruleset), ctypes.c_int(2), rule, ctypes.c_uint(0)
    ) != 0:
        _raise("landlock_add_rule")


def landlock_restrict_self(ruleset: int) -> None:
    if _syscall(ctypes.c_long(_NR_LANDLOCK_RESTRICT_SELF), ctypes.c_int(ruleset), ctypes.c_uint(0)) != 0:
        _raise("landlock_restrict_self")


def seccomp(program: bytes) -> None:
    """Installs a filter (an array of struct sock_filter) on all threads."""
    code = ctypes.create_string_buffer(program, len(program))
    fprog = struct.pack("@HP", len(program) // 8, ctypes.addressof(code))
    result = _syscall(
        ctypes.c_long(_NR["seccomp"]),
        ctypes.c_uint(_SECCOMP_SET_MODE_FILTER),
        ctypes.c_uint(_SECCOMP_FILTER_FLAG_TSYNC),
        fprog,
    )
    if result != 0:
        _raise("seccomp")


def flush_c_stdio() -> None:
    """Writes out what C code left in its stdio buffers."""
    _libc.fflush(None)
