"""The pieces of the confinement that need no privilege: what is asked of the kernel."""

from __future__ import annotations

import errno
import os
import resource
import struct
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

from pyexec_runner import child, confine
from support import RUNNER

_PLACEHOLDER = 0xFFFFFFFE


def _program(*instructions: tuple[int, int, int, int]) -> bytes:
    return b"".join(struct.pack("=HBBI", *i) for i in instructions)


class FilterProgram(unittest.TestCase):
    def test_the_placeholder_becomes_the_pid(self) -> None:
        before = _program((0x15, 0, 1, _PLACEHOLDER), (0x06, 0, 0, 7), (0x15, 2, 3, _PLACEHOLDER))
        after = confine.filter_program(before, _PLACEHOLDER, 4242)
        self.assertEqual(after, _program((0x15, 0, 1, 4242), (0x06, 0, 0, 7), (0x15, 2, 3, 4242)))

    def test_an_empty_program(self) -> None:
        self.assertEqual(confine.filter_program(b"", _PLACEHOLDER, 1), b"")


class MarksOfTheView(unittest.TestCase):
    def test_what_a_run_changed_is_undone(self) -> None:
        with tempfile.TemporaryDirectory() as root:
            os.makedirs(os.path.join(root, "etc", "deep"))
            hosts, link = os.path.join(root, "etc", "hosts"), os.path.join(root, "link")
            with open(hosts, "w") as out:
                out.write("x")
            os.symlink("etc", link)
            before = confine.marks(root)
            self.assertEqual(set(before), {root, os.path.join(root, "etc"), os.path.join(root, "etc", "deep"), hosts, link})
            for path in before:
                os.utime(path, (1, 2), follow_symlinks=False)
            os.chmod(hosts, 0o600)
            os.chmod(os.path.join(root, "etc"), 0o500)
            os.chmod(root, 0o100)
            confine.restore(before)
            self.assertEqual(confine.marks(root), before)

    def test_nothing_is_kept_where_the_kernel_refuses(self) -> None:
        with mock.patch("os.chmod", side_effect=OSError(errno.EROFS, "read-only")):
            self.assertEqual(confine.changeable(), {})


class Step(unittest.TestCase):
    def test_names_what_failed(self) -> None:
        with self.assertRaises(confine.StepFailed) as caught:
            with confine.step("mount /proc"):
                raise OSError(errno.EPERM, "mount: Operation not permitted")
        self.assertEqual((caught.exception.step, caught.exception.errno), ("mount /proc", "EPERM"))

    def test_other_exceptions_are_bugs(self) -> None:
        with self.assertRaises(KeyError):
            with confine.step("x"):
                raise KeyError("x")


class Landlock(unittest.TestCase):
    def ask(self, abi: int) -> tuple[bytes, dict[str, int]]:
        """What is asked of the kernel: the ruleset's attributes, access by path."""
        asked: dict[str, int] = {}
        opened: dict[int, str] = {}
        real_open = os.open

        def remember(path: str, flags: int) -> int:
            fd = real_open(path, flags)
            opened[fd] = path
            return fd

        with (
            tempfile.TemporaryDirectory() as folder,
            mock.patch.object(confine.sc, "landlock_create_ruleset", side_effect=lambda _: os.dup(0)) as create,
            mock.patch.object(confine.sc, "landlock_allow_path", side_effect=lambda _, a, fd: asked.update({opened[fd]: a})),
            mock.patch.object(confine.sc, "landlock_restrict_self") as restrict,
            mock.patch.object(confine.os, "open", side_effect=remember),
        ):
            confine.landlock(abi, ["/", "/nowhere"], [folder], ["/dev/null"])
            restrict.assert_called_once()
            asked["writable"] = asked.pop(folder)
            return create.call_args.args[0], asked

    def test_attributes_by_abi(self) -> None:
        for abi, size in ((1, 8), (2, 8), (3, 8), (4, 16), (5, 16), (6, 24), (7, 24)):
            attributes, _ = self.ask(abi)
            self.assertEqual(len(attributes), size, f"ABI {abi}: the kernel refuses a larger one")
            handled = struct.unpack_from("=Q", attributes)[0]
            self.assertEqual(handled >> 13 & 1, abi >= 2, "refer")
            self.assertEqual(handled >> 14 & 1, abi >= 3, "truncate")
            self.assertEqual(handled >> 15 & 1, abi >= 5, "ioctl of devices")
            self.assertEqual(handled & 0x1FFF, 0x1FFF)

    def test_access(self) -> None:
        attributes, asked = self.ask(7)
        handled = struct.unpack_from("=Q", attributes)[0]
        self.assertEqual(asked["/"], 0b1100, "read files and directories, nothing more")
        self.assertEqual(asked["/dev/null"], 0b110, "a file: read and write, no rights of directories")
        self.assertNotIn("/nowhere", asked)
        for bit, name in ((0, "execute"), (6, "make_char"), (11, "make_block"), (15, "ioctl")):
            self.assertFalse(asked["writable"] >> bit & 1, name)
        for access in asked.values():
            self.assertEqual(access & ~handled, 0, "the kernel refuses what is not handled")

    def test_a_writable_directory_must_be_there(self) -> None:
        with (
            mock.patch.object(confine.sc, "landlock_create_ruleset", side_effect=lambda _: os.dup(0)),
            mock.patch.object(confine.sc, "landlock_restrict_self") as restrict,
            self.assertRaises(confine.StepFailed),
        ):
            confine.landlock(7, [], ["/nowhere"], [])
        restrict.assert_not_called()

    def test_in_the_kernel(self) -> None:
        if not confine.sc.landlock_abi():
            self.skipTest("no Landlock here")
        code = """
import os, sys
sys.path.insert(0, sys.argv[1])
from pyexec_runner import confine
confine.sc.prctl(confine.sc.PR_SET_NO_NEW_PRIVS, 1)
confine.landlock(confine.sc.landlock_abi(), [], [sys.argv[2]], ["/dev/null"])
open(sys.argv[2] + "/a", "w").write("x")
open("/dev/null", "w").write("x")
for attempt in (lambda: open("/etc/hostname"), lambda: os.listdir("/"), lambda: open(sys.argv[1] + "/b", "w"),
                lambda: os.execv("/bin/true", ["true"])):
    try:
        attempt()
    except PermissionError:
        continue
    raise SystemExit("reached")
print("refused")
"""
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run([sys.executable, "-I", "-c", code, str(RUNNER), folder], capture_output=True, text=True, timeout=60)
        self.assertEqual((done.stdout, done.returncode), ("refused\n", 0), done.stderr)


class Rlimits(unittest.TestCase):
    def test_never_above_the_hard_limit_and_never_unknown(self) -> None:
        with (
            mock.patch.object(confine.resource, "getrlimit", return_value=(10, 20)),
            mock.patch.object(confine.resource, "setrlimit") as set_limit,
        ):
            confine.set_rlimits({"NOFILE": 15, "CORE": 1000, "NO_SUCH_LIMIT": 1})
        self.assertEqual(
            set_limit.call_args_list,
            [mock.call(resource.RLIMIT_NOFILE, (15, 15)), mock.call(resource.RLIMIT_CORE, (20, 20))],
        )

    def test_what_the_platform_refuses(self) -> None:
        for refused in (ValueError, PermissionError):
            with mock.patch.object(confine.resource, "setrlimit", side_effect=refused):
                confine.set_rlimits({"RTPRIO": 0})


class Descriptors(unittest.TestCase):
    def test_the_pipes_become_0_to_3_and_nothing_else_is_open(self) -> None:
        code = """
import os, sys
sys.path.insert(0, sys.argv[1])
from pyexec_runner import child
out = os.dup(1)
pairs = [os.pipe() for _ in range(4)]
for n, (r, w) in enumerate(pairs):
    os.write(w, str(n).encode())
child._place_descriptors([r for r, _ in pairs])
read = [os.read(fd, 9).decode() for fd in range(4)]
assert read == list("0123"), read
for fd in range(4, 256):
    try:
        os.fstat(fd)
    except OSError:
        continue
    os._exit(1)
os._exit(0)
"""
        done = subprocess.run([sys.executable, "-I", "-c", code, str(RUNNER)], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual((child.REQUEST_FD, child.STDOUT_FD, child.STDERR_FD, child.RESULT_FD), (0, 1, 2, 3))


if __name__ == "__main__":
    unittest.main()
