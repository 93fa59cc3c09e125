"""The confinement of a slot and of a child, step by step.

The order is not free: maps before Landlock and before PR_SET_DUMPABLE 0,
mounts before capset, the bounding set before capset, everything before the
seccomp filter.  Every step's failure is fatal for the slot or the run
(StepFailed); only what the configuration leaves out is skipped, and the
server has then said so in /health.
"""

from __future__ import annotations

import errno
import os
import resource
import socket
import stat
import struct
from typing import Any

from . import syscalls as sc

Config = dict[str, Any]

_NAMESPACES = {
    "user": sc.CLONE_NEWUSER,
    "mount": sc.CLONE_NEWNS,
    "pid": sc.CLONE_NEWPID,
    "ipc": sc.CLONE_NEWIPC,
    "uts": sc.CLONE_NEWUTS,
    "net": sc.CLONE_NEWNET,
    "cgroup": sc.CLONE_NEWCGROUP,
}
_RUN_UID = 65534
_CAP_SETPCAP, _CAP_NET_ADMIN, _CAP_SYS_ADMIN = 8, 12, 21
_LAST_CAP = 40
# SECBIT_NOROOT, NO_SETUID_FIXUP, NO_CAP_AMBIENT_RAISE, each with its lock,
# and no KEEP_CAPS: uid 0 means nothing in here.
_SECUREBITS = 0x2F | 0xC0

_QUIET = sc.MS_NOSUID | sc.MS_NODEV | sc.MS_NOEXEC
_KEPT = sc.MS_NOSUID | sc.MS_NODEV | sc.MS_NOEXEC | sc.MS_NOATIME | sc.MS_RELATIME


class StepFailed(Exception):
    """A step of the confinement could not be done."""

    def __init__(self, step: str, cause: OSError) -> None:
        super().__init__(step, cause)
        self.step = step
        self.errno = errno.errorcode.get(cause.errno or 0, str(cause.errno))
        self.detail = cause.strerror or str(cause)


class step:
    """Turns an OSError inside the block into StepFailed with the step's name."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: object, tb: object) -> None:
        if isinstance(error, OSError):
            raise StepFailed(self.name, error) from error


def enter_namespaces(config: Config) -> None:
    """Moves the calling process (and, for pid, its children) into its own
    namespaces and maps its uid to 65534."""
    wanted = config["namespaces"]
    if not wanted:
        return
    uid, gid = os.getuid(), os.getgid()
    with step("unshare"):
        flags = 0
        for name in wanted:
            flags |= _NAMESPACES[name]
        try:
            sc.unshare(flags)
        except OSError as refused:
            if refused.errno != errno.EINVAL:
                raise
            sc.unshare(flags & ~sc.CLONE_NEWCGROUP)  # gVisor has no cgroup namespaces
    if "user" in wanted:
        with step("uid_map"):
            try:
                _write("/proc/self/setgroups", "deny")
            except FileNotFoundError:
                pass  # gVisor before May 2026 has no such file
            _write("/proc/self/uid_map", f"{_RUN_UID} {uid} 1")
            _write("/proc/self/gid_map", f"{_RUN_UID} {gid} 1")


def _write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def prepare_slot(config: Config) -> None:
    """Everything that a slot's children inherit, done once: mounts of its
    own, host name, rlimits, the bounding set, no_new_privs, the slot's filter."""
    os.umask(0o022)
    with step("setsid"):
        try:
            os.setsid()
        except PermissionError:
            pass  # already a leader: pid 1 of a new pid namespace may be
    if "mount" in config["namespaces"]:
        with step("private mounts"):
            sc.mount("none", "/", None, sc.MS_REC | sc.MS_PRIVATE, None)
        if "view" in config:
            enter_view(config)
        else:
            mount_proc(config, "/proc")
    if "uts" in config["namespaces"]:
        with step("hostname"):
            socket.sethostname("sandbox")
    set_rlimits(config["rlimits"])
    if "capabilities" in config["layers"] and "user" in config["namespaces"]:
        drop_bounding_set(1 << _CAP_NET_ADMIN if config["egress"] else 0)
    if "no_new_privs" in config["layers"]:
        with step("no_new_privs"):
            sc.prctl(sc.PR_SET_NO_NEW_PRIVS, 1)
    with step("dumpable"):
        sc.prctl(sc.PR_SET_DUMPABLE, 0)


def enter_view(config: Config) -> None:
    """Makes the read-only view that nsjail makes where it can, and enters it."""
    view, root, workdir = config["view"], config["view_root"], config["workdir"]
    with step("view"):
        sc.mount("none", root, "tmpfs", sc.MS_NOSUID | sc.MS_NODEV, "size=1m,mode=0755")
        for directory in ("/tmp", "/dev/shm", "/proc", workdir):
            os.makedirs(root + directory, exist_ok=True)
        for bind in view["binds"]:
            target = root + bind["to"]
            if os.path.isdir(bind["from"]):
                os.makedirs(target, exist_ok=True)
            else:
                os.makedirs(os.path.dirname(target), exist_ok=True)
                os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o644))
            sc.mount(bind["from"], target, None, sc.MS_BIND, None)
            if not bind["device"]:
                # A remount may not drop flags that the mount has: they are locked.
                flags = os.statvfs(target).f_flag & _KEPT
                sc.mount("none", target, None, sc.MS_BIND | sc.MS_REMOUNT | sc.MS_RDONLY | flags, None)
        for link in view["symlinks"]:
            if not os.path.lexists(root + link["path"]):
                os.makedirs(os.path.dirname(root + link["path"]), exist_ok=True)
                os.symlink(link["target"], root + link["path"])
        for file in view["files"]:
            os.makedirs(os.path.dirname(root + file["path"]), exist_ok=True)
            with open(root + file["path"], "w") as out:
                out.write(file["text"])
        # Before the old root goes: the kernel gives a fresh /proc only to those
        # who can already see an unmasked one.
        mount_proc(config, root + "/proc")
        # The new root over the old one, and the old one away: pivot_root(".", ".").
        os.chdir(root)
        sc.pivot_root(".", ".")
        sc.umount(".", sc.MNT_DETACH)
        os.chdir("/")
        sc.mount("none", "/", None, sc.MS_REMOUNT | sc.MS_RDONLY | sc.MS_NOSUID | sc.MS_NODEV, "size=1m,mode=0755")


Marks = dict[str, tuple[int, int]]


def changeable() -> Marks:
    """Mode and time of all that the view itself holds, where a run can change
    them although the view is mounted read-only: gVisor's tmpfs does not refuse
    what its owner asks. Empty where the kernel refuses."""
    try:
        os.chmod("/", stat.S_IMODE(os.stat("/").st_mode))
    except OSError:
        return {}
    return marks("/")


def marks(root: str) -> Marks:
    """Those of a folder and of all below that is on the same filesystem."""
    device = os.lstat(root).st_dev
    found: Marks = {}
    waiting = [root]
    while waiting:
        path = waiting.pop()
        is_ = os.lstat(path)
        if is_.st_dev != device:
            continue
        found[path] = (is_.st_mode, is_.st_mtime_ns)
        if stat.S_ISDIR(is_.st_mode):
            waiting += [os.path.join(path, name) for name in os.listdir(path)]
    return found


def restore(old: Marks) -> None:
    """Undoes what a run did to them, folders before what they hold."""
    for path, (mode, time) in old.items():
        is_ = os.lstat(path)
        if is_.st_mode != mode:
            os.chmod(path, stat.S_IMODE(mode))
        if is_.st_mtime_ns != time:
            os.utime(path, ns=(time, time), follow_symlinks=False)


def mount_proc(config: Config, at: str) -> None:
    with step("mount /proc"):
        if config["proc"] == "fresh":
            try:
                sc.mount("proc", at, "proc", sc.MS_RDONLY | _QUIET, "hidepid=2,subset=pid")
            except OSError as refused:
                if refused.errno != errno.EINVAL:  # subset= is of Linux 5.8
                    raise
                sc.mount("proc", at, "proc", sc.MS_RDONLY | _QUIET, "hidepid=2")
        elif config["proc"] == "empty":
            # An ancestor's /proc is masked, so the kernel refuses a fresh one;
            # the old one would show the zygote.
            sc.mount("none", at, "tmpfs", sc.MS_RDONLY | _QUIET, "size=4k,nr_inodes=2")


# Neither real-time priority nor message queues can be used there either.
_NOT_ON_GVISOR = ("RTPRIO", "MSGQUEUE")


def set_rlimits(limits: dict[str, int]) -> None:
    with step("rlimits"):
        for name, value in limits.items():
            which = getattr(resource, "RLIMIT_" + name, None)
            if which is None:
                continue
            soft, hard = resource.getrlimit(which)
            if hard != resource.RLIM_INFINITY:
                value = min(value, hard)
            if soft == hard == value:
                continue  # gVisor has limits that cannot be set, to what they are neither
            try:
                resource.setrlimit(which, (value, value))
            except (OSError, ValueError) as refused:
                if name not in _NOT_ON_GVISOR:
                    raise OSError(errno.EPERM, f"RLIMIT_{name}: {refused}") from refused


def drop_bounding_set(keep: int) -> None:
    with step("bounding set"):
        for capability in range(_LAST_CAP + 1):
            try:
                sc.prctl(sc.PR_CAPBSET_DROP, capability)
            except OSError as refused:
                if refused.errno != errno.EINVAL:  # EINVAL: an older kernel has fewer
                    raise
    try:
        sc.prctl(sc.PR_SET_SECUREBITS, _SECUREBITS)
    except OSError:
        pass  # gVisor knows only KEEP_CAPS; without a bounding set uid 0 gains nothing
    with step("capabilities of the slot"):
        # What a slot still needs for its children: mounts and their namespace;
        # for egress also to bring a loopback up.
        sc.set_capabilities(1 << _CAP_SYS_ADMIN | 1 << _CAP_SETPCAP | keep)


def join_cgroup(procs_fds: list[int]) -> None:
    # "0" is the writer; the kernel checks the credentials of the server,
    # which opened the files.
    with step("cgroup"):
        for fd in procs_fds:
            os.write(fd, b"0")


def mount_writable(config: Config) -> None:
    """A fresh tmpfs seen as /tmp, the working directory and /dev/shm, so that
    one size bounds all three.  It goes with the mount namespace of the child."""
    with step("mount namespace of the run"):
        sc.unshare(sc.CLONE_NEWNS)
    with step("tmpfs"):
        inodes = config["disk_files"] and config["disk_files"] + 4  # 0 is no limit
        sc.mount("none", "/tmp", "tmpfs", _QUIET, f"size={config['disk_bytes']},nr_inodes={inodes},mode=0755")
        for name, mode, target in (("w", 0o755, config["workdir"]), ("s", 0o1777, "/dev/shm"), ("t", 0o1777, "/tmp")):
            os.mkdir("/tmp/" + name)
            os.chmod("/tmp/" + name, mode)
            # The last one covers the root of the tmpfs itself.
            sc.mount("/tmp/" + name, target, None, sc.MS_BIND, None)


# Landlock access rights of the file system, by the ABI that brought them.
_LL_EXECUTE, _LL_WRITE_FILE, _LL_READ_FILE, _LL_READ_DIR = 1, 2, 4, 8
_LL_REFER, _LL_TRUNCATE, _LL_IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
_LL_MAKE_CHAR, _LL_MAKE_BLOCK = 1 << 6, 1 << 11
_LL_READ = _LL_READ_FILE | _LL_READ_DIR
_LL_ABI1 = (1 << 13) - 1


def landlock(
    abi: int, readable: list[str], writable: list[str], device_files: list[str], ports: tuple[int, ...] = ()
) -> None:
    """Leaves reading below readable and writing below writable; no execution,
    no device nodes, no TCP but connections to ports, no abstract sockets and no
    signals outside."""
    handled = _LL_ABI1
    if abi >= 2:
        handled |= _LL_REFER
    if abi >= 3:
        handled |= _LL_TRUNCATE
    if abi >= 5:
        handled |= _LL_IOCTL_DEV
    attributes = struct.pack("=Q", handled)
    if abi >= 4:
        attributes += struct.pack("=Q", 3)  # bind and connect of TCP
    if abi >= 6:
        attributes += struct.pack("=Q", 3)  # scope: abstract unix sockets, signals
    write = handled & ~(_LL_EXECUTE | _LL_MAKE_CHAR | _LL_MAKE_BLOCK | _LL_IOCTL_DEV)
    with step("landlock"):
        ruleset = sc.landlock_create_ruleset(attributes)
        for paths, access, needed in (
            (readable, _LL_READ, False),
            (writable, write, True),
            (device_files, _LL_READ_FILE | _LL_WRITE_FILE, False),
        ):
            for path in paths:
                try:
                    fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
                except OSError:
                    if needed:
                        raise
                    continue  # nothing there to be allowed
                try:
                    is_directory = os.stat(fd).st_mode & 0o170000 == 0o040000
                    sc.landlock_allow_path(ruleset, access if is_directory else access & (_LL_WRITE_FILE | _LL_READ_FILE), fd)
                finally:
                    os.close(fd)
        for port in ports if abi >= 4 else ():
            sc.landlock_allow_connect(ruleset, port)
        sc.landlock_restrict_self(ruleset)
        os.close(ruleset)


def filter_program(program: bytes, placeholder: int, pid: int) -> bytes:
    """The filter with the run's own pid where the policy wrote a placeholder."""
    # A test of the policy holds that these four bytes stand for nothing else.
    return program.replace(struct.pack("=I", placeholder), struct.pack("=I", pid))


def verify(config: Config) -> None:
    """Asks the kernel, from inside, whether what was done is in force."""
    with step("verify"):
        if "seccomp" in config["layers"] and sc.prctl(sc.PR_GET_SECCOMP) != 2:
            raise OSError(errno.EPERM, "no seccomp filter")
        if "no_new_privs" in config["layers"] and sc.prctl(sc.PR_GET_NO_NEW_PRIVS) != 1:
            raise OSError(errno.EPERM, "no_new_privs is off")
        if "capabilities" in config["layers"] and sc.get_capabilities() != 0:
            raise OSError(errno.EPERM, "capabilities are left")
