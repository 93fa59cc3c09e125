"""The policy: what it refuses, at which level, and that ordinary code passes."""

from __future__ import annotations

import ast
import json
import os
import sys
import time
import unittest
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from pyexec_runner import policy, report, script
from support import SHARED


def check(source: str, strict: bool = False) -> policy.Violation | None:
    return policy.check(ast.parse(source), strict=strict)


ORDINARY = [
    "def compile(x): return x\ny = compile(1)",
    "eval = lambda x: x\neval(1)",
    "def f(eval): return eval(1)",
    "def f():\n  exec = 3\n  return exec",
    "class A:\n  def eval(self): return 1\n  def g(self): return self.eval()",
    "import re\nre.compile('x')",
    "from re import compile\ncompile('x')",
    "compile = re.compile\ncompile('x')",
    "df.eval('a'); model.eval(); cursor.exec(1); proc.kill(); self.os.kill(); x.fork()",
    "from torch import *\nmodel.eval()",
    "def f(x: eval) -> compile: pass\ny: exec = 3",
    "import os\nos.path.join('a'); os.environ; os.getcwd(); os.listdir(); os.makedirs('x'); hasattr(os, 'fork')",
    "from os import path, getpid",
    "import importlib\nimportlib.import_module('json')",
    "import signal, resource, mmap, socket, threading, pickle, importlib, requests",
    "import asyncio\nasyncio.run(x()); asyncio.gather()",
    "from concurrent.futures import ThreadPoolExecutor",
    "[eval for eval in range(3)]",
    "def outer():\n  eval = len\n  def inner(): return eval([])\n  return inner",
    "for compile in []: compile()",
    "try:\n  pass\nexcept E as exec:\n  exec",
    "with x as eval: eval()",
    "match x:\n  case eval: eval()",
    "def f(os): return os.system",
    "import platform\nplatform.system()",
    "from platform import system\nsystem()",
    "def f():\n  global compile\n  compile = 3\ndef g(): return compile",
    "'__import__(\"os\")'  # eval('x')",
]

BLOCKED = [
    ("e = eval", "eval", 1, 5),
    ("x = map(exec, y)", "exec", 1, 9),
    ("ｅｖａｌ('1')", "eval", 1, 1),
    ("import os as o\no.system('x')", "os.system", 2, 1),
    ("import os\no2 = o = os\no2.popen('x')", "os.popen", 3, 1),
    ("import os\ndef f(z=os): z.fork()", "os.fork", 2, 14),
    ("import os\n(q := os).system('x')", "os.system", 2, 1),
    ("import os\na, b = os, 1\na.execv('x')", "os.execv", 3, 1),
    ("from os import *\nsystem('x')", "os.system", 2, 1),
    ("from os import system as s", "os.system", 1, 1),
    ("import os\ngetattr(os, 'system')('x')", "os.system", 2, 1),
    ("from importlib import import_module as im\nim('ctypes')", "ctypes", 2, 1),
    ("import importlib as i\ni.import_module(name='subprocess')", "subprocess", 2, 1),
    ("import importlib\nm = importlib.import_module('os')\nm.system('x')", "os.system", 3, 1),
    ("import importlib\nimportlib.__import__('subprocess')", "subprocess", 2, 1),
    ("import builtins as b\nb.eval('1')", "eval", 2, 1),
    ("from builtins import eval as e", "eval", 1, 1),
    ("compile = compile", "compile", 1, 11),
    ("class A:\n  eval = 3\n  def f(self): return eval('1')", "eval", 3, 23),
    ("b = __builtins__", "__builtins__", 1, 5),
    ("def f(x: eval('1')): pass", "eval", 1, 10),
    ("import asyncio\nasyncio.create_subprocess_shell('x')", "asyncio.create_subprocess_shell", 2, 1),
    ("loop.subprocess_exec(1)", "subprocess_exec", 1, 1),
    ("import concurrent.futures as cf\ncf.ProcessPoolExecutor(2)", "concurrent.futures.ProcessPoolExecutor", 2, 1),
    ("import multiprocessing.pool", "multiprocessing", 1, 8),
    ("import posix", "posix", 1, 8),
    ("class A:\n  x = [eval(i) for i in y]", "eval", 2, 8),
    ("f\"{eval('1')}\"", "eval", None, None),
    ("s = 'é'; eval('1')", "eval", 1, 10),
    ("def f():\n  exec('b')\neval('a')", "exec", 2, 3),
]

ONLY_STRICT = [
    "import os\ngetattr(os, n)",
    "import sys\nsys.modules['os']",
    "from sys import modules",
    "import shutil\nshutil.os.system('x')",
    "import random\nrandom._os.getcwd()",
    "().__class__.__bases__[0].__subclasses__()",
    "f.__globals__",
    "getattr(x, '__globals__')",
    "import timeit\ntimeit.timeit('x')",
    "import code",
    "import operator\noperator.attrgetter('__globals__')",
    "import operator, os\noperator.attrgetter('sys' + 'tem')(os)",
    "globals()['__builtins__']",
    "globals().get('__builtins__')",
    "globals()['a' + 'b']",
    "import os\nvars(os)['system']",
    "import os\nos.__dict__['system']",
    "import importlib\nimportlib.import_module(x)",
    "if 0: eval = 3\neval('1')",
]

ORDINARY_IN_STRICT = ORDINARY[:3] + [
    "globals()['RATE']",
    "self.__dict__; type(self).__name__; self.__class__.__name__; obj.__doc__; vars(self)",
    "getattr(x, name)",
    "import timeit\ntimeit.timeit(lambda: 1, number=3); timeit.default_timer()",
    "from operator import attrgetter\nsorted(x, key=attrgetter('a'))",
    "import os.path\nos.path.join('a')",
    "import collections.abc\ncollections.abc.Mapping",
    "import numpy as np\nnp.random.rand(3); np.linalg.norm(x)",
    "import datetime\ndatetime.datetime.now()",
]


class PolicyTest(unittest.TestCase):
    def test_ordinary_code_passes(self) -> None:
        for source in ORDINARY:
            with self.subTest(source):
                self.assertIsNone(check(source))

    def test_blocked_at_both_levels(self) -> None:
        for source, operation, line, column in BLOCKED:
            for strict in (False, True):
                with self.subTest(source, strict=strict):
                    found = check(source, strict)
                    self.assertIsNotNone(found)
                    assert found is not None
                    failure = found.refused(source).failure
                    self.assertEqual(failure["operation"], operation)
                    self.assertIn(operation, failure["message"])
                    self.assertTrue(failure["hint"])
                    if line is not None:
                        self.assertEqual((failure["line"], failure["column"]), (line, column))

    def test_strict_only(self) -> None:
        for source in ONLY_STRICT:
            with self.subTest(source):
                self.assertIsNone(check(source))
                self.assertIsNotNone(check(source, strict=True))

    def test_ordinary_code_passes_strict(self) -> None:
        for source in ORDINARY_IN_STRICT:
            with self.subTest(source):
                self.assertIsNone(check(source, strict=True))

    def test_off_refuses_nothing(self) -> None:
        script.read("import subprocess\ndef main(): return eval('1')", "off")

    def test_deep_and_large_trees(self) -> None:
        for count, followed in ((40, True), (3000, False)):  # a courtesy: it need not follow every road
            steps = "".join(f"a{i + 1} = a{i}\n" for i in range(count))
            found = check(f"import os\na0 = os\n{steps}a{count}.system")
            self.assertEqual(found is not None, followed)
        self.assertIsNone(check("a = b\nb = a\na.system"))
        chain = "x = a" + ".b" * 1500
        self.assertIsNone(check(chain, strict=True))
        lines = "".join(f"def f{i}(a, b=1):\n  return [q.w for q in a if q.z] + [os.path.join(a, b)]\n" for i in range(2500))
        tree = ast.parse("import os\n" + lines)
        start = time.process_time()
        self.assertIsNone(policy.check(tree, strict=True))
        self.assertLess(time.process_time() - start, 2)


class SharedCasesTest(unittest.TestCase):
    def setUp(self) -> None:
        caught = warnings.catch_warnings()
        caught.__enter__()
        self.addCleanup(caught.__exit__, None, None, None)
        warnings.simplefilter("ignore")  # the benchmarks' own escapes

    def cases(self, name: str) -> list[dict]:
        path = SHARED / "cases" / f"{name}.jsonl"
        if not path.exists():
            if os.environ.get("CI"):
                self.fail(f"{path} is missing: set SHARED_DIR")
            print(f"SKIPPED: {path} is missing: set SHARED_DIR", file=sys.stderr)
            self.skipTest(f"{path} is missing")
        with path.open(encoding="utf-8") as f:
            return [json.loads(line) for line in f]

    def test_benchmarks_pass(self) -> None:
        for name in ("humaneval", "mbpp"):
            for case in self.cases(name):
                if case.get("policy_blocked"):
                    continue
                for level in ("standard", "strict"):
                    with self.subTest(case["id"], level=level):
                        script.read(case["script"], level)

    def test_basic(self) -> None:
        exempt = {"bypass/socket"}  # refused by the sandbox, not by the policy
        for case in self.cases("basic"):
            family = case["id"].split("/")[0]
            if "script" not in case or family not in ("basic", "data", "harmless", "policy", "bypass"):
                continue
            with self.subTest(case["id"]):
                statuses = case["expect"].get("status", 200)
                if statuses == 400 and case["id"] not in exempt:
                    with self.assertRaises(report.Refused) as caught:
                        script.read(case["script"], "standard")
                    for text in (case.get("nice") or {}).get("error_contains", ()):
                        self.assertIn(text, caught.exception.failure["message"])
                else:
                    script.read(case["script"], "standard")


if __name__ == "__main__":
    unittest.main()
