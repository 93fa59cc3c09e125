"""The writable directory of a run where there is no mount namespace.

The server never opens a path below it, since a run may have planted links
there.  A single-use process that may touch nothing else empties it.
"""

from __future__ import annotations

import os
import stat

from . import confine


def make(config: confine.Config) -> str:
    """The directory of this slot, empty and private."""
    path: str = os.path.join(config["scratch"], str(config["slot"]))
    with confine.step("scratch directory"):
        os.makedirs(path, mode=0o700, exist_ok=True)
    return path


def empty(path: str, config: confine.Config) -> bool:
    """Removes all that stands below path; says whether nothing is left."""
    try:
        if not stat.S_ISDIR(os.lstat(path).st_mode):
            return False
        os.chmod(path, 0o700)  # a run may have taken its own rights away
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
    """Goes down into one folder after the other, by name alone: a tree may be
    deeper than a path can be long, or calls can be nested."""
    if "landlock" in config["layers"]:
        confine.landlock(config["landlock_abi"], [], [path], [])
    os.chdir(path)
    above: list[str] = []
    while True:
        folder = _remove_files()
        if folder is not None:
            os.chmod(folder, 0o700)
            os.chdir(folder)
            above.append(folder)
        elif above:
            os.chdir("..")
            os.rmdir(above.pop())
        else:
            return


def _remove_files() -> str | None:
    """Removes files of the current folder up to the first folder in it, and names that."""
    with os.scandir() as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                return entry.name
            os.unlink(entry.name)
    return None
