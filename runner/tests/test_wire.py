"""The frames, against the vectors that Go's tests read, too."""

from __future__ import annotations

import json
import os
import sys
import threading
import unittest
from pathlib import Path

from pyexec_runner import wire
from support import RUNNER

VECTORS = json.loads((RUNNER.parent / "internal/wire/testdata/protocol.json").read_text())


def _pipe_with(data: bytes) -> int:
    reader, writer = os.pipe()
    os.write(writer, data)
    os.close(writer)
    return reader


class Vectors(unittest.TestCase):
    def test_kinds(self) -> None:
        ours = {
            "ready": wire.READY, "failed": wire.FAILED, "result": wire.RESULT, "error": wire.ERROR, "files": wire.FILES,
        }  # fmt: skip
        self.assertEqual({name: kind.decode() for name, kind in ours.items()}, VECTORS["kinds"])

    def test_frames_that_this_side_writes_before_a_run(self) -> None:
        for vector in VECTORS["frames"]:
            reader, writer = os.pipe()
            try:
                if vector["kind"] == "ready":
                    wire.write_ready(writer)
                elif vector["kind"] == "failed":
                    wire.write_failed(writer, **json.loads(vector["payload"]))
                else:
                    continue
                self.assertEqual(os.read(reader, 4096).hex(), vector["hex"])
            finally:
                os.close(reader)
                os.close(writer)

    def test_frames_of_a_run(self) -> None:
        for vector in VECTORS["frames"]:
            if vector["kind"] in ("ready", "failed"):
                continue
            payload = vector["payload"].encode()
            kind = VECTORS["kinds"][vector["kind"]].encode()
            self.assertEqual((kind + len(payload).to_bytes(4, "big") + payload).hex(), vector["hex"])

    def test_request_keys_are_read(self) -> None:
        source = "".join(p.read_text() for p in sorted(Path(RUNNER, "pyexec_runner").glob("*.py")))
        request = VECTORS["request"]
        told_only = {"timeout_ms"}  # the server's clock is the one that counts
        for key in set(request["keys"] + request["file_keys"] + request["limit_keys"]) - told_only:
            self.assertIn(f'"{key}"', source, key)


class ReadRequest(unittest.TestCase):
    def test_stdin_is_left_on_the_pipe(self) -> None:
        fd = _pipe_with(b"\0\0\0\x02{}the script's stdin")
        self.addCleanup(os.close, fd)
        self.assertEqual(wire.read_request(fd), b"{}")
        self.assertEqual(os.read(fd, 100), b"the script's stdin")

    def test_a_pipe_that_ends_early(self) -> None:
        for data in (b"", b"\0\0", b"\0\0\0\x02", b"\0\0\0\x02{"):
            with self.subTest(data=data):
                fd = _pipe_with(data)
                self.assertIsNone(wire.read_request(fd))
                os.close(fd)

    def test_bytes_that_come_slowly(self) -> None:
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)

        def drip() -> None:
            for byte in b"\0\0\0\x05hello":
                os.write(writer, bytes([byte]))
            os.close(writer)

        thread = threading.Thread(target=drip)
        thread.start()
        self.assertEqual(wire.read_request(reader), b"hello")
        thread.join()

    def test_a_request_larger_than_the_pipe(self) -> None:
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        body = b"x" * (3 << 20)

        def fill() -> None:
            with os.fdopen(writer, "wb") as out:
                out.write(len(body).to_bytes(4, "big") + body)

        thread = threading.Thread(target=fill)
        thread.start()
        self.assertEqual(wire.read_request(reader), body)
        thread.join()


if __name__ == "__main__":
    sys.exit(unittest.main())
