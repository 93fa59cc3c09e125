"""Failures: what an exception is reported as, and that nothing hostile gets through."""

from __future__ import annotations

import errno
import json
import sys
import unittest
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pyexec_runner import report

LIMITS = {"message_bytes": 1024, "traceback_bytes": 8192, "traceback_frames": 20}


def failure(source: str, **limits: int) -> dict[str, Any]:
    report.register_source(source)
    try:
        exec(compile(source, report.FILENAME, "exec"), {"__name__": report.MODULE})
    except BaseException as exc:
        return report.exception(exc, {**LIMITS, **limits})
    raise AssertionError("nothing was raised")


class ExceptionTest(unittest.TestCase):
    def test_plain(self) -> None:
        got = failure("def f():\n    return 1 / 0\n\nf()\n")
        self.assertEqual(got["message"], "ZeroDivisionError: division by zero (line 2)")
        self.assertEqual((got["type"], got["exception"], got["line"]), ("exception", "ZeroDivisionError", 2))
        self.assertEqual(
            got["traceback"],
            "Traceback (most recent call last):\n"
            '  File "script.py", line 4, in <module>\n    f()\n'
            '  File "script.py", line 2, in f\n    return 1 / 0\n'
            "ZeroDivisionError: division by zero\n",
        )

    def test_only_frames_of_the_script(self) -> None:
        got = failure("import json\njson.loads('{')\n")
        self.assertEqual(got["exception"], "json.decoder.JSONDecodeError")
        self.assertEqual(got["line"], 2)
        self.assertNotIn("decoder.py", got["traceback"])
        got = failure("from json import nothing\n")
        self.assertNotIn("/", got["message"])

    def test_deep_traceback_is_elided(self) -> None:
        got = failure("def f(n):\n  if n == 0: raise ValueError('deep')\n  f(n - 1)\nf(300)\n")
        self.assertIn("... 282 more frames ...", got["traceback"])
        self.assertEqual(got["traceback"].count('File "script.py"'), 20)

    def test_chains(self) -> None:
        got = failure("try:\n  1 / 0\nexcept Exception as e:\n  raise ValueError('x') from e\n")
        self.assertIn("direct cause", got["traceback"])
        self.assertLess(got["traceback"].index("ZeroDivisionError"), got["traceback"].index("ValueError"))
        got = failure("a, b = ValueError('a'), ValueError('b')\na.__cause__, b.__cause__ = b, a\nraise a")
        self.assertEqual(got["exception"], "ValueError")
        got = failure("try:\n  1 / 0\nexcept Exception:\n  raise ValueError('x') from None\n")
        self.assertNotIn("ZeroDivision", got["traceback"])

    def test_groups(self) -> None:
        got = failure("raise ExceptionGroup('g', [ValueError('one'), TypeError('two')])")
        self.assertIn("ValueError: one", got["traceback"])
        source = "e = ValueError()\nfor _ in range(3000): e = ExceptionGroup('g', [e])\nraise e"
        self.assertEqual(failure(source)["exception"], "ExceptionGroup")

    def test_bounds(self) -> None:
        got = failure("raise ValueError('é' * 5_000_000)")
        self.assertLessEqual(len(got["message"].encode()), 1024)
        self.assertTrue(got["message"].endswith("... (line 1)"))
        self.assertLessEqual(len(got["traceback"].encode()), 8192)
        got = failure("e = ValueError('x')\ne.__notes__ = [b'', 7, 'n' * 5_000_000, object()]\nraise e")
        self.assertLessEqual(len(got["traceback"].encode()), 8192)

    def test_hostile_classes(self) -> None:
        self.assertIn("<unprintable>", failure("class E(Exception):\n  def __str__(self): raise SystemExit\nraise E()")["message"])
        self.assertIn("<unprintable>", failure("class E(Exception):\n  def __str__(self): return 5\nraise E()")["message"])
        got = failure("raise type('E\\n\\x1b[0m' + 'x' * 10000, (Exception,), {})('\\ud800\\x1b')")
        json.dumps(got, ensure_ascii=False).encode("utf-8")
        self.assertNotIn("\x1b", got["message"] + got["exception"])
        self.assertLessEqual(len(got["exception"]), 100)
        got = failure("class T(Exception):\n  @property\n  def __traceback__(self): raise SystemExit(3)\nraise T('x')")
        self.assertEqual((got["exception"], got["line"]), ("T", 4))
        got = failure(
            "class M(type):\n  @property\n  def __name__(c): raise SystemExit\n  __module__ = 3\n"
            "class E(Exception, metaclass=M): pass\nE.__module__ = 7\nraise E('x')"
        )
        self.assertEqual(got["exception"], "E")

    def test_limits(self) -> None:
        self.assertEqual(failure("raise MemoryError")["type"], "memory_limit")
        self.assertEqual(failure(f"raise OSError({errno.ENOMEM}, 'mmap')")["type"], "memory_limit")
        for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            self.assertEqual(failure(f"raise OSError({number}, 'x')")["type"], "disk_limit")
        self.assertEqual(failure("raise OSError(2, 'x')")["type"], "exception")
        self.assertEqual(failure("raise KeyboardInterrupt")["message"], "KeyboardInterrupt (line 1)")


class HintTest(unittest.TestCase):
    def test_hints(self) -> None:
        cases = [
            ("np.array([1])", "import numpy as np"), ("json.dumps(1)", "import json"), ("Counter()", "from collections"),
            ("import sklearn.x", "sklearn is not installed"), ("raise RuntimeError(\"can't start new thread\")", "threads"),
            ("def fork(): raise PermissionError(1, 'x')\nfork()", None),
            ("raise PermissionError(1, 'os.fork')", "starting processes"),
            ("raise BlockingIOError(11, 'socket')", "no network"), ("raise ConnectionRefusedError(111, 'x')", "no network"),
            ("raise EOFError", "stdin"),
        ]  # fmt: skip
        for source, text in cases:
            with self.subTest(source):
                hint = failure(source).get("hint", "")
                self.assertIn(text or "", hint)
        self.assertNotIn("hint", failure("raise PermissionError(13, 'x')"))
        self.assertNotIn("hint", failure("some_name"))


class ExitTest(unittest.TestCase):
    def test_status(self) -> None:
        for code, want in ((None, (0, None)), (3, (3, None)), (-1, (255, None)), (True, (1, None)), ("bad", (1, "bad")), ((), (1, "()"))):
            self.assertEqual(report.exit_status(SystemExit(code)), want)
        got = report.exited(SystemExit(3), 3)
        self.assertEqual((got["type"], got["exit_status"]), ("exited", 3))

    def test_clean(self) -> None:
        self.assertEqual(report.clean("aé😀", 6), "aé...")
        self.assertEqual(report.clean("a\nb\tc\x1b\ud800", 100), "a b c\\x1b\\ud800")
        self.assertEqual(report.clean("日本\u3000語", 100), "日本\u3000語")
        for limit in range(20):
            self.assertLessEqual(len(report.clean("é" * 50, limit).encode()), limit)


if __name__ == "__main__":
    unittest.main()
