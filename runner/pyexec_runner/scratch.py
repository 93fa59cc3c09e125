"""The writable directory of a run where there is no mount namespace.

The server never opens a path below it, since a run may have planted links
there.  A single-use process that may touch nothing else empties it, when the
run is dead: nobody changes anything meanwhile.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile

from . import confine
from . import syscalls as sc

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN = 0o700  # a run may have taken its own rights away


def make(config: confine.Config) -> str:
    """The directory of this slot, private."""
    path: str = os.path.join(config["scratch"], str(config["slot"]))
    with confine.step("scratch directory"):
        os.makedirs(path, mode=_OPEN, exist_ok=True)
    return path


def use(path: str) -> None:
    """Makes path what the calling process takes for its home and for /tmp."""
    os.environ["TMPDIR"] = os.environ["HOME"] = path
    tempfile.tempdir = None  # what a library of the zygote may have asked for
    # The filter refuses to change modes and times where Landlock is all that
    # keeps a run from the files of its uid; a copy has those of a new file.
    shutil.copymode = shutil.copystat = _keep_as_made  # type: ignore[assignment]


def _keep_as_made(src: object, dst: object, *, follow_symlinks: bool = True) -> None:
    """The replacement of shutil.copymode and shutil.copystat."""


def empty(path: str, config: confine.Config) -> bool:
    """Removes all that stands below path; says whether nothing is left."""
    if _is_empty(path):
        return True
    pid = os.fork()
    if pid == 0:
        try:
            sc.prctl(sc.PR_SET_PDEATHSIG, signal.SIGKILL)  # the next slot starts a cleaner of its own
            if "landlock" in config["layers"]:
                confine.landlock(config["landlock_abi"], [], [path], [])
            remove_below(path)
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    return _is_empty(path)


def _is_empty(path: str) -> bool:
    try:
        os.chmod(path, _OPEN)  # the name stands where no run can write: it is no link
        with os.scandir(path) as entries:
            return next(entries, None) is None
    except FileNotFoundError:
        return True


def remove_below(path: str) -> None:
    """Removes everything below path, one directory at a time and by its name
    in the one above: neither depth nor long paths nor links matter."""
    at = os.open(path, _DIRECTORY)
    left = [_clear(at)]  # for each directory from path to at: folders still to remove
    names: list[str] = []
    while True:
        if left[-1]:
            name = left[-1].pop()
            os.chmod(name, _OPEN, dir_fd=at)
            below = os.open(name, _DIRECTORY, dir_fd=at)
            names.append(name)
            left.append(_clear(below))
        elif names:
            left.pop()
            below = os.open("..", _DIRECTORY, dir_fd=at)
            os.rmdir(names.pop(), dir_fd=below)
        else:
            os.close(at)
            return
        os.close(at)
        at = below


def _clear(at: int) -> list[str]:
    """Removes the files and the empty folders of a directory; names the others."""
    folders = []
    with os.scandir(at) as entries:
        found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    for name, is_folder in found:
        if not is_folder:
            os.unlink(name, dir_fd=at)
            continue
        try:
            os.rmdir(name, dir_fd=at)
        except OSError:
            folders.append(name)
    return folders
