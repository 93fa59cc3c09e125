"""Collects what a run left in output/: regular files, bounded, no link followed.

It runs in the sandbox, after user code and perhaps beside a thread of it, so
every step is by descriptor: no path is resolved twice.
"""

from __future__ import annotations

import binascii
import builtins
import gc
import io
import json.encoder
import os
import re
import stat
from collections.abc import Iterator

globals()["__builtins__"] = dict(vars(builtins))  # see report.py

FOLDER = "output"
_MAX_DEPTH = 16
_MAX_PATH = 4096  # bytes; the server takes no longer one
_MAX_ENTRIES = 4096  # of one folder, looked at
_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK: opening a FIFO that nobody writes to must not wait.
_FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_WRITERS = (io.TextIOWrapper, io.BufferedWriter, io.BufferedRandom)

_open, _close, _read, _fstat, _scandir = os.open, os.close, os.read, os.fstat, os.scandir
_is_regular, _is_folder = stat.S_ISREG, stat.S_ISDIR
_to_base64, _from_base64 = binascii.b2a_base64, binascii.a2b_base64
# As wire.go: controls, which a terminal acts on, marks that turn text round,
# and what is a folder elsewhere. Lone surrogates are names that are no UTF-8.
_misleading = re.compile("[\x00-\x1f\x7f-\x9f\\\\\u202a-\u202e\u2066-\u2069\ud800-\udfff]").search
_quote = json.encoder.encode_basestring
_get_objects = gc.get_objects


def decode(text: str) -> bytes:
    """The bytes of a base64 text."""
    return _from_base64(text)


def output(limits: dict[str, int]) -> bytes:
    """The payload of an F frame."""
    left = limits.get("output_bytes", 8 << 20)
    count = limits.get("output_files", 64)
    entries: list[str] = []
    try:
        folder = _open(FOLDER, _FOLDER_FLAGS)
    except OSError:
        return b"[]"
    _flush_open_files()
    for path, fd in _walk(folder, FOLDER, 0):
        try:
            if len(entries) >= count:
                break
            content = _content(fd, left)
        finally:
            _close(fd)
        if content is not None and len(path.encode()) <= _MAX_PATH:
            left -= len(content)
            text = _to_base64(content, newline=False).decode("ascii")
            entries.append(f'{{"path":{_quote(path)},"content_base64":"{text}"}}')
    return ("[" + ",".join(entries) + "]").encode("utf-8")


def _walk(folder: int, prefix: str, depth: int) -> Iterator[tuple[str, int]]:
    """(path, descriptor) of each regular file, sorted; the taker closes the descriptor."""
    try:
        names = []
        with _scandir(folder) as found:
            for entry in found:
                names.append(entry.name)
                if len(names) >= _MAX_ENTRIES:
                    break
        for name in sorted(names):
            if _misleading(name):
                continue
            try:
                fd = _open(name, _FILE_FLAGS, dir_fd=folder)
            except OSError:
                continue
            mode = _fstat(fd).st_mode
            if _is_regular(mode):
                yield f"{prefix}/{name}", fd
            elif _is_folder(mode) and depth < _MAX_DEPTH:
                yield from _walk(fd, f"{prefix}/{name}", depth + 1)
            else:
                _close(fd)
    finally:
        _close(folder)


def _content(fd: int, limit: int) -> bytes | None:
    """The whole file, or None where it is larger than the limit."""
    if _fstat(fd).st_size > limit:
        return None
    parts, size = [], 0
    while part := _read(fd, 1 << 20):
        size += len(part)
        if size > limit:
            return None
        parts.append(part)
    return b"".join(parts)


def _flush_open_files() -> None:
    """The process will not be finalised, and a file that the script left open would stay short."""
    for found in _get_objects():
        if type(found) in _WRITERS:
            try:
                found.flush()
            except BaseException:
                pass
