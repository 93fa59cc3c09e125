"""The writable directory of a run where there is no mount namespace.

The server never opens a path below it, since a run may have planted links
there.  A single-use process that may touch nothing else empties it.
"""

from __future__ import annotations

import os
import shutil

from . import confine
from . import syscalls as sc


def make(config: confine.Config) -> str:
    """The directory of this slot, empty and private."""
    path: str = os.path.join(config["scratch"], str(config["slot"]))
    with confine.step("scratch directory"):
        os.makedirs(path, mode=0o700, exist_ok=True)
    return path


def empty(path: str, config: confine.Config) -> bool:
    """Removes all that stands below path; says whether nothing is left."""
    try:
        if not os.listdir(path):
            return True
    except FileNotFoundError:
        return True
    pid = os.fork()
    if pid == 0:
        try:
            _remove_below(path, config)
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    return not os.listdir(path)


def _remove_below(path: str, config: confine.Config) -> None:
    if "landlock" in config["layers"]:
        confine.landlock(config["landlock_abi"], [], [path], [])
    for entry in os.scandir(path):
        if entry.is_dir(follow_symlinks=False):
            # A run may have taken its own rights away.
            os.chmod(entry.path, 0o700, follow_symlinks=True)
            shutil.rmtree(entry.path, onerror=_open_and_retry)
        else:
            os.unlink(entry.path)


def _open_and_retry(function: object, path: str, _: object) -> None:
    parent = os.path.dirname(path)
    os.chmod(parent, 0o700)
    if os.path.isdir(path) and not os.path.islink(path):
        os.chmod(path, 0o700)
        shutil.rmtree(path, ignore_errors=True)
    else:
        os.unlink(path)
