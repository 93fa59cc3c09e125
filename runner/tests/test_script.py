"""Reading a script: syntax errors, the rules for main, and main's one argument."""

from __future__ import annotations

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pyexec_runner import report, script


def failure(source: str) -> dict:
    try:
        script.read(source, "standard")
    except report.Refused as refused:
        return refused.failure
    return {}


class SyntaxTest(unittest.TestCase):
    def test_place_and_message(self) -> None:
        got = failure("def main():\n    print 'hi'\n    return 1\n")
        self.assertEqual((got["type"], got["line"], got["source_line"]), ("syntax_error", 2, "    print 'hi'"))
        self.assertIn("SyntaxError", got["message"])
        self.assertIn("IndentationError", failure("def main():\nreturn 1\n")["message"])

    def test_only_compile_objects(self) -> None:
        for source in ("return 1\n", "break\n", "def f(a, a): pass\n", "def f():\n  nonlocal q\n"):
            with self.subTest(source):
                self.assertEqual(failure(source + "def main(): return 1")["type"], "syntax_error")

    def test_parser_limits(self) -> None:
        for source in ("-" * 100_000 + "1", "x = " + "not " * 50_000 + "1", "x = 1" + "+1" * 50_000, "\x00", "'\ud800'"):
            with self.subTest(source[:20]):
                got = failure(source)
                self.assertEqual(got["type"], "syntax_error")
                self.assertLess(len(got["message"]), 300)

    def test_huge_line_is_cut(self) -> None:
        got = failure('x = "' + "a" * 1_000_000 + '" )')
        self.assertLessEqual(len(got["source_line"]), 200)

    def test_bom_cookie_and_line_ends(self) -> None:
        script.read("\ufeff# -*- coding: utf-7 -*-\ndef main(): return 1", "standard")
        self.assertEqual(failure("\ufeff\ufeffdef main(): return 1")["type"], "syntax_error")
        self.assertEqual(script.read("# a\r\rdef main():\r    return 1\r", "standard").main_line, 3)

    def test_order_is_syntax_policy_main(self) -> None:
        self.assertEqual(failure("eval('1')\nreturn 1")["type"], "syntax_error")
        self.assertEqual(failure("eval('1')")["type"], "policy_violation")


VALID = [
    "async def main(): return 1",
    "main = lambda: 5",
    "from x import main",
    "import a.b as main",
    "class main: pass",
    "if x:\n  def main(): return 1\nelse:\n  def main(): return 2",
    "try:\n  from x import main\nexcept ImportError:\n  def main(): return 1",
    "for main in [len]: pass",
    "(main := len)",
    "with x as main: pass",
    "a, main = 1, 2",
    "def main(): print(1)\ndef main(): return 1",
    "globals()['main'] = len",
    "from x import *",
    "def f():\n  global main\n  main = len\nf()",
    "def main(): raise ValueError",
    "def main():\n  while True: pass",
    "def main():\n  while 1:\n    for x in y: break",
    "def main():\n  if a: raise A\n  else: raise B",
    "def main():\n  try: raise A\n  finally: print(1)",
    "def main():\n  with a: raise A",
    "def main():\n  match a:\n    case 1: raise A\n    case _: raise B",
    "def main():\n  try:\n    return f()\n  except A: pass",
    "import sys\ndef main(): sys.exit(3)",
    "@collect\ndef main(): yield 1",
    "def main():\n" + "  if x == 0: pass\n" + "".join(f"  elif x == {i}: pass\n" for i in range(900)) + "  return 1",
]

INVALID = [
    ("x = 1", "missing_main", None),
    ("# def main(): return 1", "missing_main", None),
    ("class A:\n  def main(self): return 1", "missing_main", 2),
    ("def f():\n  def main(): return 1", "missing_main", 2),
    ("[main for main in x]", "missing_main", None),
    ("def main(): print(1)", "missing_return", 1),
    ("\n\ndef main():\n  def f(): return 1\n  lambda: 1", "missing_return", 3),
    ("def main(): yield 1", "missing_return", 1),
    ("async def main():\n  yield 1\n  return", "missing_return", 1),
    ("def main():\n  while True:\n    if x: break", "missing_return", 1),
    ("def main():\n  while x: pass", "missing_return", 1),
    ("def main():\n  if a: raise A", "missing_return", 1),
    ("def main():\n  try: raise A\n  except A: pass", "missing_return", 1),
    ("def main(): return 1\ndef main(): print(1)", "missing_return", 2),
]


class MainTest(unittest.TestCase):
    def test_valid(self) -> None:
        for source in VALID:
            with self.subTest(source[:100]):
                self.assertEqual(failure(source), {})

    def test_invalid(self) -> None:
        for source, kind, line in INVALID:
            with self.subTest(source):
                got = failure(source)
                self.assertEqual((got.get("type"), got.get("line")), (kind, line))
                self.assertTrue(got["hint"])

    def test_arguments(self) -> None:
        def outcome(p: script.Parameters, **request: object) -> object:
            try:
                return script.arguments(p, request)
            except report.Refused as refused:
                return refused.failure["field"]

        make = script.Parameters
        self.assertEqual(outcome(make([], 0, False, [])), ())
        self.assertEqual(outcome(make([], 0, False, []), input=None), "input")
        self.assertEqual(outcome(make(["a"], 0, False, [])), "input")
        self.assertEqual(outcome(make(["a"], 1, False, []), input=3), (3,))
        self.assertEqual(outcome(make(["a", "b"], 0, False, []), input=3), "input")
        self.assertEqual(outcome(make([], 1, False, []), input=3), (3,))
        self.assertEqual(outcome(make([], 0, True, []), input=3), (3,))
        self.assertEqual(outcome(make([], 0, True, ["k"]), input=3), "input")


if __name__ == "__main__":
    unittest.main()
