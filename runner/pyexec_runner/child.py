"""The child: confines itself, says that it is ready, serves one run, dies."""

from __future__ import annotations

import os
import resource

from . import confine, execute, network, report, scratch, warm, wire
from . import syscalls as sc

REQUEST_FD, STDOUT_FD, STDERR_FD, RESULT_FD = 0, 1, 2, 3


def start(pipes: list[int], config: confine.Config) -> None:
    """Called in a fresh fork of a slot; never returns to it."""
    try:
        try:
            _confine(pipes, config)
        except confine.StepFailed as failed:
            wire.write_failed(RESULT_FD, failed.step, failed.errno, failed.detail)
            return
        except Exception as bug:
            wire.write_failed(RESULT_FD, "bug", "", f"{type(bug).__name__}: {bug}")
            return
        _serve()
    finally:
        os._exit(0)


def _confine(pipes: list[int], config: confine.Config) -> None:
    sc.prctl(sc.PR_SET_PDEATHSIG, 9)
    warm.populate(config.get("pages", []))  # first: what follows needs some of them, too
    if config["egress"]:
        with confine.step("network of the run"):
            network.enter(pipes.pop())
        network.use_proxy(config["ca_bundle"])
        report.hint_at_proxy()
    _place_descriptors(pipes)
    layers = config["layers"]
    if "mount" in config["namespaces"]:
        confine.mount_writable(config)
        workdir, writable = config["workdir"], ["/tmp", config["workdir"], "/dev/shm"]
    else:
        workdir = scratch.make(config)
        writable = [workdir]
        scratch.use(workdir)
    with confine.step("working directory"):
        os.chdir(workdir)
    # Not in the slot: descriptors in flight between sockets are counted for
    # the host's uid, against the sender's limit, so a low one in a slot would
    # let one run keep all slots from passing descriptors.
    if config["rlimits"]:  # a test may have taken them away
        confine.set_rlimits({"NOFILE": config["open_files"]})
        if "uid_threads" in config:
            confine.set_rlimits({"NPROC": config["uid_threads"]})
        resource.setrlimit(resource.RLIMIT_CPU, (config["cpu_seconds"], config["cpu_seconds"] + 1))
    if "landlock" in layers:
        ports = (network.PORT,) if config["egress"] else ()
        confine.landlock(config["landlock_abi"], config["readable"], writable, config["device_files"], ports)
    if "capabilities" in layers and config["namespaces"]:
        with confine.step("capabilities"):
            sc.set_capabilities(0)
    execute.reseed()
    execute.get_ready()
    if "seccomp" in layers:
        with confine.step("seccomp"):
            sc.seccomp(confine.filter_program(bytes.fromhex(config["seccomp_egress" if config["egress"] else "seccomp_child"]), config["own_pid"], os.getpid()))
    confine.verify(config)


def _place_descriptors(pipes: list[int]) -> None:
    """0 to 3 become the run's pipes; everything else is closed: the slot's
    socket, the cgroup files, whatever a library of the zygote had opened."""
    high = [os.dup(fd) if fd <= RESULT_FD else fd for fd in pipes]
    for target, fd in enumerate(high):
        os.dup2(fd, target)
    sc.close_from(RESULT_FD + 1)


def _serve() -> None:
    wire.write_ready(RESULT_FD)
    request = wire.read_request(REQUEST_FD)
    if request is not None:
        wire.write_begun(RESULT_FD)
        execute.run(request, RESULT_FD, flush=sc.flush_c_stdio)
