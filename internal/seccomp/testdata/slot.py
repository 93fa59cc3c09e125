"""Under the slot's filter: it still forks children that put on their own."""

import errno
import os
import socket


def attempt(f):
    try:
        f()
        return "ok"
    except OSError as e:
        return errno.errorcode[e.errno]


def child():
    install(SECOND)  # noqa: F821: given by install.py
    a, b = socket.socketpair()
    a.send(b"x")
    ok = b.recv(1) == b"x" and attempt(os.fork) == "EPERM" and attempt(lambda: os.kill(os.getppid(), 0)) == "EPERM"
    os.kill(os.getpid(), 0)
    os._exit(7 if ok else 1)


def main():
    pid = os.fork()
    if pid == 0:
        child()
    return {
        "child": os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]),
        "exec": attempt(lambda: os.execv("/nonexistent", ["x"])),
        "netlink": attempt(lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)),
        "kill child's group": attempt(lambda: os.kill(0, 0)),
    }
