from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Union

Json = Any  # what json.loads returns
FileContent = Union[str, bytes]


@dataclass(frozen=True)
class OutputFile:
    """A file that a run left in its output folder."""

    path: str
    content: bytes
    media_type: str | None = None


@dataclass(frozen=True)
class Usage:
    """What a run consumed."""

    wall_ms: int = 0
    cpu_ms: int = 0
    memory_bytes: int = 0
    queue_ms: int = 0


@dataclass(frozen=True)
class Details:
    """What `details=True` adds to an answer."""

    id: str
    stderr: str
    usage: Usage
    truncated: Mapping[str, int]  # bytes dropped, by stream
    files: tuple[OutputFile, ...]
    isolation: Mapping[str, Json]


@dataclass(frozen=True)
class Result:
    """What a run that succeeded returned and printed."""

    result: Json
    stdout: str
    details: Details | None = None
    request_id: str | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Started:
    """A sandbox has the script."""


@dataclass(frozen=True)
class Output:
    """Something was printed."""

    stream: Literal["stdout", "stderr"]
    text: str


Event = Union[Started, Output, Result]


def details_of(body: Mapping[str, Json]) -> Details | None:
    if "usage" not in body:
        return None
    known = Usage.__dataclass_fields__
    return Details(
        id=body.get("id", ""),
        stderr=body.get("stderr", ""),
        usage=Usage(**{k: v for k, v in body["usage"].items() if k in known}),
        truncated=body.get("truncated", {}),
        files=tuple(
            OutputFile(f["path"], base64.b64decode(f["content_base64"]), f.get("media_type"))
            for f in body.get("files", ())
        ),
        isolation=body.get("isolation", {}),
    )
