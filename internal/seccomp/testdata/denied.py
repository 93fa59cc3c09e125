"""Tries what the filter refuses and tells what came of each: "ok" or the error.

Every line works for an ordinary user where there is no filter (the twin), and
does no harm there.
"""

import ctypes
import errno
import fcntl
import mmap
import os
import resource
import signal
import socket
import subprocess
import tempfile

LIBC = ctypes.CDLL(None, use_errno=True)
ARCH = 0 if os.uname().machine == "x86_64" else 1


def call(x86_64, aarch64, *args):
    ctypes.set_errno(0)
    LIBC.syscall.restype = ctypes.c_long
    r = LIBC.syscall(ctypes.c_long((x86_64, aarch64)[ARCH]), *[ctypes.c_long(a) if isinstance(a, int) else a for a in args])
    if r == -1:
        raise OSError(ctypes.get_errno(), "")
    return r


def checked(r):
    if r == -1:
        raise OSError(ctypes.get_errno(), "")


def fork():
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def file_call(f):
    with tempfile.NamedTemporaryFile() as t:
        return f(t.fileno())


def shm():
    checked(LIBC.shmctl(call(29, 194, 0, 4096, 0o1600), 0, None))


def mlock():
    m = mmap.mmap(-1, 4096)
    checked(LIBC.mlock(ctypes.c_void_p(ctypes.addressof(ctypes.c_char.from_buffer(m))), ctypes.c_size_t(4096)))


def exec_missing():
    try:
        os.execv("/nonexistent", ["x"])
    except FileNotFoundError:
        pass


def other_size(*numbers):
    try:
        call(*numbers)
    except OSError as e:
        if e.errno not in (errno.EINVAL, errno.EFAULT, errno.ESRCH, errno.EBADF, errno.ENOTTY):
            raise


PARENT = os.getppid()
TRIES = {
    "fork": fork,
    "subprocess": lambda: subprocess.run(["/bin/true"], check=True),
    "posix_spawn": lambda: os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0),
    "execve": exec_missing,
    "clone3": lambda: other_size(435, 435, 0, 0),
    "unshare nothing": lambda: call(272, 97, 0),
    "kill parent 0": lambda: os.kill(PARENT, 0),
    "kill group 0": lambda: os.kill(0, 0),
    "tgkill parent 0": lambda: call(234, 131, PARENT, PARENT, 0),
    "pidfd_open": lambda: os.close(os.pidfd_open(os.getpid())),
    "ptrace": lambda: other_size(101, 117, 1, 0x3FFFFFFF, 0, 0),
    "process_vm_readv": lambda: call(310, 270, os.getpid(), 0, 0, 0, 0, 0),
    "prlimit of parent": lambda: resource.prlimit(PARENT, resource.RLIMIT_CORE),
    "getpgid of parent": lambda: os.getpgid(PARENT),
    "socket inet": lambda: socket.socket(socket.AF_INET).close(),
    "socket inet6": lambda: socket.socket(socket.AF_INET6).close(),
    "socket udp": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close(),
    "socket netlink": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW).close(),
    "attach filter": lambda: socket.socketpair()[0].setsockopt(1, 26, b"\x01" + b"\0" * 7 + ctypes.addressof(RET0).to_bytes(8, "little")),
    "memfd": lambda: os.close(os.memfd_create("x")),
    "mlock": mlock,
    "flock": lambda: file_call(lambda fd: fcntl.flock(fd, fcntl.LOCK_SH)),
    "lease": lambda: file_call(lambda fd: fcntl.fcntl(fd, 1024, 2)),
    "setown": lambda: file_call(lambda fd: fcntl.fcntl(fd, fcntl.F_SETOWN, os.getpid())),
    "setsig": lambda: file_call(lambda fd: fcntl.fcntl(fd, 10, int(signal.SIGKILL))),
    "inotify": lambda: os.close(call(294, 26, 0)),
    "sysv shm": shm,
    "mq_open": lambda: other_size(240, 180, 0, 0, 0, 0),
    "dumpable": lambda: checked(LIBC.prctl(4, 1, 0, 0, 0)),
    "pdeathsig": lambda: checked(LIBC.prctl(1, 0, 0, 0, 0)),
    "subreaper": lambda: checked(LIBC.prctl(36, 0, 0, 0, 0)),
    "seccomp": lambda: call(317, 277, 2, 0, ctypes.byref(ctypes.c_uint(0x7FFF0000))),
    "landlock": lambda: call(444, 444, 0, 0, 1),
    "scheduler": lambda: os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0)),
    "setuid self": lambda: os.setuid(os.getuid()),
    "io_setup": lambda: other_size(206, 0, 0, 0),
    "vmsplice": lambda: other_size(278, 75, -1, 0, 0, 0),
    "userfaultfd": lambda: other_size(323, 282, 0x7FFFFFFF),
    "keyctl": lambda: key(),
    "device node": lambda: os.mknod("/nonexistent/x", 0o020600, os.makedev(1, 3)),
}


def key():
    """describe a key that is not there"""
    try:
        call(250, 219, 6, 0x7FFFFFFE, 0, 0)
    except OSError as e:
        if e.errno != errno.ENOKEY:
            raise


class F(ctypes.Structure):
    _fields_ = [("code", ctypes.c_ushort), ("jt", ctypes.c_ubyte), ("jf", ctypes.c_ubyte), ("k", ctypes.c_uint)]


RET0 = F(0x06, 0, 0, 0)


def main():
    out = {}
    for name, f in TRIES.items():
        try:
            f()
            out[name] = "ok"
        except OSError as e:
            out[name] = errno.errorcode[e.errno]
    return out
