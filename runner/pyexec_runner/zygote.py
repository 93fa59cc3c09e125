"""A zygote: an interpreter with its imports done that forks slots.

It runs one thread, never runs user code and never reads a byte of a request.
Its control socket (SOCK_SEQPACKET, one JSON object a message) is an inherited
descriptor, whose number is the only argument.

    server -> zygote  {"op": "config", ...}                   first, and once
                      {"op": "grow", "modules": [...]}  + fd  fork a zygote that imports
                                                              more; fd is its control socket
                      {"op": "slot", "id": n,           + fd  fork a slot; fd is its socket.  The
                       "egress": bool}                        children of one with egress reach the proxy
    zygote -> server  {"op": "ready", "python", "modules": {name: version}}
                      {"op": "failed", "detail"}              an import failed; it exits
"""

from __future__ import annotations

import array
import gc
import importlib
import json
import os
import platform
import signal
import socket
import sys
from typing import Any

from . import confine, network, plots, slot, warm
from . import syscalls as sc

_MAX_MESSAGE = 64 << 10


def main() -> None:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, fileno=int(sys.argv[1]))
    # Children are reaped by the kernel: as pid 1 of the jail, or subreaper,
    # the base zygote is also the parent of every slot whose parent has gone.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sc.prctl(sc.PR_SET_CHILD_SUBREAPER, 1)
    order, _ = _receive(sock)
    if order is None:
        return
    if order["die_with_parent"]:
        # nsjail; without it the parent is a thread of the server, which may
        # end before the server does.
        sc.prctl(sc.PR_SET_PDEATHSIG, signal.SIGKILL)
    _serve(sock, order, [])


def _serve(sock: socket.socket, config: confine.Config, modules: list[str]) -> None:
    try:
        versions = _import(modules)
        network.explain(config)
        config = config | {"pages": _get_warm(modules)}
    except Exception as failed:
        sock.send(json.dumps({"op": "failed", "detail": f"{type(failed).__name__}: {failed}"[:1000]}).encode())
        return
    sock.send(json.dumps({"op": "ready", "python": platform.python_version(), "modules": versions}).encode())
    while True:
        order, fds = _receive(sock)
        if order is None:
            return
        if len(fds) == 1:
            _fork(sock, fds[0], order, config)
        for fd in fds:
            os.close(fd)


def _fork(sock: socket.socket, fd: int, order: dict[str, Any], config: confine.Config) -> None:
    try:
        pid = os.fork()
    except OSError as failed:
        try:
            with socket.socket(fileno=os.dup(fd)) as end:
                end.send(json.dumps(
                    {"op": "failed", "step": "fork", "errno": str(failed.errno), "detail": str(failed)}
                ).encode())
        except OSError:
            pass  # the server no longer waits for it, or no descriptor is left; the end of the socket tells it, too
        return
    if pid:
        return
    if order["op"] == "slot":
        slot.start(fd, config | {"slot": order["id"], "egress": order["egress"]})
    try:
        sc.prctl(sc.PR_SET_PDEATHSIG, signal.SIGKILL)
        sock.close()
        _serve(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, fileno=fd), config, order["modules"])
    finally:
        os._exit(0)


def _import(modules: list[str]) -> dict[str, str]:
    if "matplotlib" in modules:
        plots.prepare()
    return {name: getattr(importlib.import_module(name), "__version__", "") for name in modules}


def _get_warm(modules: list[str]) -> warm.Pages:
    """Leaves a heap that forks well: everything done once, no garbage, nothing
    for the collector to touch, one thread."""
    if modules:  # the root serves only until the next one is there
        warm.rehearse(modules)
    gc.collect()
    gc.freeze()
    threads = len(os.listdir("/proc/self/task")) if os.path.isdir("/proc/self/task") else 1
    if threads != 1:
        raise RuntimeError(f"an import started {threads - 1} threads: a fork would lose them")
    return warm.record(modules) if modules else []


def _receive(sock: socket.socket) -> tuple[dict[str, Any] | None, list[int]]:
    text, ancillary, _, _ = sock.recvmsg(_MAX_MESSAGE, socket.CMSG_SPACE(16 * 4), socket.MSG_CMSG_CLOEXEC)
    fds = [fd for _, _, data in ancillary for fd in array.array("i", data)]
    return (json.loads(text) if text else None), fds


if __name__ == "__main__":
    main()
