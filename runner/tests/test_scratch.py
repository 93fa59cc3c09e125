"""The directory of runs without a mount namespace: empty again, whatever was left in it."""

from __future__ import annotations

import os
import socket
import sys
import tempfile
import unittest
from pathlib import Path

from pyexec_runner import scratch


class Empty(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.outside = Path(folder.name, "outside")
        self.outside.mkdir()
        (self.outside / "kept").write_text("kept")
        self.config = {"scratch": str(Path(folder.name, "scratch")), "slot": 0, "layers": [], "landlock_abi": 0}
        self.path = Path(scratch.make(self.config))

    def check(self) -> None:
        self.assertTrue(scratch.empty(str(self.path), self.config))
        self.assertEqual(os.listdir(self.path), [])
        self.assertEqual((self.outside / "kept").read_text(), "kept")

    def test_made_private_and_twice(self) -> None:
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o700)
        self.assertEqual(scratch.make(self.config), str(self.path))

    def test_nothing_there(self) -> None:
        self.check()
        os.rmdir(self.path)
        self.assertTrue(scratch.empty(str(self.path), self.config))

    def test_files_and_folders(self) -> None:
        (self.path / "a").write_text("x")
        (self.path / "b/c/d").mkdir(parents=True)
        (self.path / "b/c/e").write_text("x")
        self.check()

    def test_links_are_not_followed(self) -> None:
        (self.path / "file").symlink_to(self.outside / "kept")
        (self.path / "folder").symlink_to(self.outside)
        (self.path / "deep").mkdir()
        (self.path / "deep/folder").symlink_to(self.outside)
        (self.path / "nowhere").symlink_to("/nowhere")
        self.check()

    def test_rights_taken_away(self) -> None:
        (self.path / "a/b/c").mkdir(parents=True)
        (self.path / "a/b/c/f").write_text("x")
        for name in ("a/b/c", "a/b", "a"):
            os.chmod(self.path / name, 0)
        self.check()

    def test_fifo_and_socket(self) -> None:
        os.mkfifo(self.path / "fifo")
        with socket.socket(socket.AF_UNIX) as s:
            s.bind(str(self.path / "s"))
        self.check()

    def test_strange_names(self) -> None:
        for name in (b"\xff\xfe", b"new\nline", b"-rf", b" ", b"\\", "é".encode()):
            Path(os.fsdecode(os.path.join(os.fsencode(self.path), name))).write_text("x")
        self.check()

    def test_many_files(self) -> None:
        for n in range(2000):
            (self.path / str(n)).touch()
        self.check()

    def test_a_deep_tree(self) -> None:
        here = os.open(self.path, os.O_RDONLY)
        for _ in range(sys.getrecursionlimit() + 200):
            os.mkdir("d" * 20, dir_fd=here)
            below = os.open("d" * 20, os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = below
        os.close(here)
        self.addCleanup(os.system, f"rm -rf '{self.path}'")
        self.check()


if __name__ == "__main__":
    unittest.main()
