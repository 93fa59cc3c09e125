"""A slot: a process with its own namespaces that forks one child at a time.

It never runs user code and never reads a byte of a request.  Its socket
(SOCK_SEQPACKET, one JSON object a message) is its only master: at end of file
it exits, and as pid 1 of its pid namespace it takes everything along.

    server -> slot   {"op": "join"}   with open cgroup.procs files: the slot's
                                      cgroup, which its children are born into
                     {"op": "spawn"}  with the child's four pipe ends; for egress also a
                                      socket by which it hands its listener over
                     {"op": "kill"}   ends the child, if there is one
    slot -> server   {"op": "hello"}  with a pidfd of the slot; ready for orders
                     {"op": "child"}  with a pidfd of the child
                     {"op": "exit", "status", "user_us", "system_us", "max_rss_kb"}
                     {"op": "failed", "step", "errno", "detail"}
"""

from __future__ import annotations

import array
import json
import os
import select
import signal
import socket
from typing import Any

from . import child, confine, scratch
from . import syscalls as sc

# The descriptors a slot holds; everything else is closed when it starts.
_MAX_MESSAGE = 4096


def start(sock_fd: int, config: confine.Config) -> None:
    """Called in a fresh fork of a zygote; never returns."""
    status = 1
    try:
        sock = _keep_only(sock_fd)
        try:
            _serve(sock, config, _confine(config))
        except confine.StepFailed as failed:
            _send(sock, {"op": "failed", "step": failed.step, "errno": failed.errno, "detail": failed.detail})
            return
        except Exception as bug:
            # EPIPE here: the server has closed the socket, and nobody listens.
            _send(sock, {"op": "failed", "step": "bug", "errno": "", "detail": f"{type(bug).__name__}: {bug}"[:1000]})
            return
        status = 0
    finally:
        os._exit(status)


def _confine(config: confine.Config) -> confine.Marks:
    if config["namespaces"]:
        confine.enter_namespaces(config)
    if "pid" in config["namespaces"]:
        with confine.step("fork"):
            if os.fork() > 0:
                os._exit(0)  # the slot is pid 1 of the new namespace
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    config["landlock_abi"] = sc.landlock_abi()
    confine.prepare_slot(config)
    marks = confine.changeable() if "view" in config else {}
    if "seccomp" in config["layers"]:
        with confine.step("seccomp of the slot"):
            sc.seccomp(bytes.fromhex(config["seccomp_slot"]))
    return marks


def _keep_only(sock_fd: int) -> socket.socket:
    """The slot's socket as fd 3, /dev/null as std streams, nothing else open."""
    if sock_fd != 3:  # dup3 refuses to do nothing
        os.dup2(sock_fd, 3, inheritable=False)
    null = os.open("/dev/null", os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    sc.close_from(4)
    return socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, fileno=3)


def _send(sock: socket.socket, message: dict[str, Any], fds: tuple[int, ...] = ()) -> None:
    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    sock.sendmsg([json.dumps(message).encode()], ancillary)


def _serve(sock: socket.socket, config: confine.Config, marks: confine.Marks) -> None:
    if not _emptied(config):
        raise RuntimeError("what an earlier slot of this name left cannot be removed")
    pidfd = _pidfd(os.getpid())
    _send(sock, {"op": "hello"}, (pidfd,) if pidfd >= 0 else ())
    if pidfd >= 0:
        os.close(pidfd)
    poller = select.poll()
    poller.register(sock, select.POLLIN)
    pid, child_fd = 0, -1
    while True:
        ready = {fd for fd, _ in poller.poll(None if pid == 0 or child_fd >= 0 else 20)}
        if pid and (child_fd in ready or child_fd < 0):
            done, status, usage = os.wait4(pid, os.WNOHANG)
            if done:
                if child_fd >= 0:
                    poller.unregister(child_fd)
                    os.close(child_fd)
                pid, child_fd = 0, -1
                if not _alone() or not _emptied(config):
                    return
                confine.restore(marks)
                _send(sock, {
                    "op": "exit", "status": status, "max_rss_kb": usage.ru_maxrss,
                    "user_us": int(usage.ru_utime * 1e6), "system_us": int(usage.ru_stime * 1e6),
                })
        if sock.fileno() not in ready:
            continue
        text, ancillary, _, _ = sock.recvmsg(_MAX_MESSAGE, socket.CMSG_SPACE(16 * 4), socket.MSG_CMSG_CLOEXEC)
        if not text:
            return
        fds = [fd for _, _, data in ancillary for fd in array.array("i", data)]
        order = json.loads(text)
        if order["op"] == "kill" and pid:
            os.kill(pid, signal.SIGKILL)
        elif order["op"] == "join":
            confine.join_cgroup(fds)
        elif order["op"] == "spawn" and not pid and len(fds) == 4 + config["egress"]:  # fewer: some did not fit into the table
            try:
                pid = os.fork()
            except OSError as failed:
                _send(sock, {"op": "failed", "step": "fork", "errno": str(failed.errno), "detail": str(failed)})
            else:
                if pid == 0:
                    child.start(fds, config)
                child_fd = _pidfd(pid)
                if child_fd >= 0:
                    poller.register(child_fd, select.POLLIN)
                _send(sock, {"op": "child"}, (child_fd,) if child_fd >= 0 else ())
        for fd in fds:
            os.close(fd)


def _pidfd(pid: int) -> int:
    try:
        return os.pidfd_open(pid)
    except OSError:
        return -1  # gVisor before April 2026: the server then asks the slot to kill


def _emptied(config: confine.Config) -> bool:
    if "mount" in config["namespaces"]:
        return True  # the run's tmpfs went with its mount namespace
    return scratch.empty(scratch.make(config), config)


def _alone() -> bool:
    """Whether nothing but the slot is left in its pid namespace.

    Children cannot create processes, so this never has anything to find; a
    slot that does find something is not used again.
    """
    if os.getpid() != 1:
        return True
    try:
        os.kill(-1, 0)
    except ProcessLookupError:
        return True
    return False
