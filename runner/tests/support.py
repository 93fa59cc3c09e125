"""Runs execute.run in a process of its own, with the pipes a child has."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RUNNER = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("SHARED_DIR") or RUNNER.parents[1] / "shared")

sys.set_int_max_str_digits(0)  # the tests send and read integers of any size

LIMITS = {
    "result_bytes": 8 << 20, "depth": 200, "message_bytes": 1024, "traceback_bytes": 8192,
    "traceback_frames": 20, "output_files": 16, "output_bytes": 1 << 20,
}  # fmt: skip

_CHILD = """
import os, sys
sys.path.insert(0, sys.argv[1])
from pyexec_runner import execute
result_fd = int(sys.argv[2])
execute.reseed()
execute.get_ready()
size = int.from_bytes(os.read(0, 4), "big")
request = b""
while len(request) < size:
    request += os.read(0, size - len(request))
execute.run(request, result_fd)
os._exit(0)
"""


@dataclass
class Outcome:
    """What came out of one run."""

    frames: list[tuple[str, bytes]]
    stdout: str
    stderr: str
    status: int

    @property
    def result(self) -> Any:
        kind, payload = self.frames[-1]
        assert kind == "R", (kind, payload[:2000], self.stderr[-2000:])
        return json.loads(payload)

    @property
    def error(self) -> dict[str, Any]:
        assert self.frames, (self.status, self.stderr[-2000:])
        kind, payload = self.frames[-1]
        assert kind == "E", (kind, payload[:2000])
        return json.loads(payload)

    @property
    def files(self) -> dict[str, bytes]:
        kind, payload = self.frames[0]
        assert kind == "F", kind
        return {f["path"]: base64.b64decode(f["content_base64"]) for f in json.loads(payload)}


def run(script: str, *, stdin: bytes = b"", timeout: float = 30, limits: dict[str, int] | None = None, **request: Any) -> Outcome:
    """One run of a script, as the server would ask for it."""
    body = json.dumps({"script": script, "policy": "off", "limits": {**LIMITS, **(limits or {})}, **request}).encode()
    read_end, write_end = os.pipe()
    chunks: list[bytes] = []

    def drain() -> None:
        while part := os.read(read_end, 1 << 16):
            chunks.append(part)

    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [sys.executable, "-I", "-c", _CHILD, str(RUNNER), str(write_end)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            cwd=folder, pass_fds=(write_end,),
        )  # fmt: skip
        os.close(write_end)
        reader = threading.Thread(target=drain)
        reader.start()
        try:
            out, err = process.communicate(len(body).to_bytes(4, "big") + body + stdin, timeout=timeout)
        finally:
            process.kill()
            process.wait()
            reader.join()
            os.close(read_end)
    return Outcome(_split(b"".join(chunks)), out.decode("utf-8", "replace"), err.decode("utf-8", "replace"), process.returncode)


def _split(data: bytes) -> list[tuple[str, bytes]]:
    frames = []
    while data:
        size = int.from_bytes(data[1:5], "big")
        frames.append((data[:1].decode("latin-1"), data[5 : 5 + size]))
        data = data[5 + size :]
    return frames
