"""What passes between the server and a child; docs/architecture.md is the reference."""

from __future__ import annotations

import json
import os
import struct

READY = b"Y"
FAILED = b"X"
BEGUN = b"B"
RESULT = b"R"
ERROR = b"E"
FILES = b"F"

_HEADER = struct.Struct(">I")


def read_request(fd: int) -> bytes | None:
    """The request's JSON, or None where the server closed the pipe unused.

    What follows on the pipe is the script's stdin, so not a byte more is read.
    """
    header = _read_exactly(fd, _HEADER.size)
    if header is None:
        return None
    return _read_exactly(fd, _HEADER.unpack(header)[0])


def _read_exactly(fd: int, size: int) -> bytes | None:
    parts = []
    while size:
        part = os.read(fd, min(size, 1 << 20))
        if not part:
            return None
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def write_ready(fd: int) -> None:
    """Said once, after the last restriction and before a byte of the request."""
    os.write(fd, READY)


def write_begun(fd: int) -> None:
    """Said once, with the whole request read and before any user code: from here on nobody runs it again."""
    os.write(fd, BEGUN)


def write_failed(fd: int, step: str, errno: str, detail: str) -> None:
    """Said instead of READY: a step of the confinement could not be done."""
    payload = json.dumps({"step": step, "errno": errno, "detail": detail}).encode()
    os.write(fd, FAILED + _HEADER.pack(len(payload)) + payload)
