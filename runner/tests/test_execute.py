"""Whole runs, each in a process of its own, with the pipes that a child has."""

from __future__ import annotations

import functools
import json
import os
import resource
import subprocess
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from support import RUNNER, SHARED, run


class ResultTest(unittest.TestCase):
    def test_result_and_prints(self) -> None:
        got = run("import sys\ndef main():\n  print('é')\n  print('to err', file=sys.stderr)\n  return {'a': (1, None)}")
        self.assertEqual((got.result, got.stdout, got.stderr), ({"a": [1, None]}, "é\n", "to err\n"))
        self.assertEqual([k for k, _ in got.frames], ["R"])

    def test_kinds_of_main(self) -> None:
        self.assertEqual(run("async def main(x=1): return x", input=3).result, 3)
        self.assertEqual(run("import functools\nmain = functools.partial(pow, 2, 5)").result, 32)
        self.assertEqual(run("globals()['main'] = lambda: 4").result, 4)
        self.assertEqual(run("async def f(): return 1\ndef main(): return f()").error["type"], "invalid_result")
        self.assertEqual(run("main = 5").error["type"], "missing_main")
        self.assertEqual(run("def main(): return 1\ndel main").error["type"], "missing_main")
        wraps = "import functools\ndef d(f):\n  @functools.wraps(f)\n  def w(*a): return f(*a)\n  return w\n@d\ndef main(): return 1"
        self.assertEqual(run(wraps).result, 1)
        self.assertEqual(run(wraps, input=1).error["field"], "input")

    def test_input_is_lossless(self) -> None:
        self.assertEqual(run("def main(x): return x", input={"a": [10**5000, "é\x00", 0.1]}).result["a"][2], 0.1)
        self.assertEqual(run("def main(x): return x", input=None).result, None)
        self.assertEqual(run("def main(x): return x").error["field"], "input")

    def test_the_module(self) -> None:
        got = run(
            "import sys, __main__, dataclasses, inspect, pickle\n@dataclasses.dataclass\nclass P:\n  x: int\n"
            "def main():\n  return [__name__, __main__.__name__, sys.argv, pickle.loads(pickle.dumps(P(3))).x,\n"
            "          inspect.getsource(P)[:8], [m for m in sys.modules if 'pyexec' in m]]"
        )
        self.assertEqual(got.result, ["script", "script", ["script.py"], 3, "@datacla", []])

    def test_files_env_and_stdin(self) -> None:
        got = run(
            "import helper, os, sys, time\ndef main():\n"
            "  return [helper.X, open('d/e.txt').read(), os.environ['A'], time.tzname[0], input(), sys.stdin.read()]",
            files=[{"path": "helper.py", "content_base64": "WCA9IDM="}, {"path": "d/e.txt", "content_base64": "aGk="}],
            env={"A": "ü", "TZ": "Asia/Tokyo"},
            stdin="å\nrest\r\n".encode(),
        )
        self.assertEqual(got.result, [3, "hi", "ü", "JST", "å", "rest\r\n"])
        self.assertIn("stdin", run("def main(): return input()").error["hint"])
        clash = [{"path": "a", "content_base64": ""}, {"path": "a/b", "content_base64": ""}]
        self.assertEqual(run("def main(): return 1", files=clash).error["field"], "files")
        self.assertEqual(run("def main(): return 1", files=[{"path": "../x", "content_base64": ""}]).error["field"], "files")

    def test_output_folder(self) -> None:
        script = (
            "import os\ndef main():\n  os.makedirs('output/a')\n  open('output/x.txt', 'w').write('hi')\n"
            "  global f\n  f = open('output/a/late', 'w'); f.write('late')\n  os.mkfifo('output/p')\n"
            "  os.symlink('/etc/passwd', 'output/l'); os.symlink('/etc', 'output/m')\n"
            "  open(b'output/\\xff', 'w'); open('output/n\\nl', 'w'); open('output/big', 'wb').truncate(1 << 21)\n  return 1"
        )
        got = run(script, details=True)
        self.assertEqual(got.files, {"output/a/late": b"late", "output/x.txt": b"hi"})
        self.assertEqual(got.result, 1)
        self.assertEqual([k for k, _ in run(script).frames], ["R"])
        failed = run(script.replace("return 1", "raise ValueError"), details=True)
        self.assertEqual([k for k, _ in failed.frames], ["F", "E"])
        away = "import os\ndef main():\n  os.mkdir('output'); open('output/x', 'w').write('x'); os.mkdir('sub'); os.chdir('sub')\n  return 1"
        self.assertEqual(run(away, details=True).files, {"output/x": b"x"})
        link = "import os\ndef main():\n  os.symlink('/etc', 'output')\n  return 1"
        self.assertEqual(run(link, details=True).files, {})

    def test_names_in_output_folder(self) -> None:
        names = ("a\u00a0b", "\u3000", "\U0001f468\u200d\U0001f469.png", "\u200f\u05d0", "dépôt/x")
        refused = ("b\\s", "\x1b[2J", "\x7f", "\x9b2J", "\u202etxt.exe", "\u2066a", "d\x07/x")
        named = (
            "import os\ndef main():\n  for n in %a:\n    p = 'output/' + n\n    os.makedirs(os.path.dirname(p), exist_ok=True)\n"
            "    open(p, 'w').write('x')\n  return 1" % (names + refused,)
        )
        self.assertEqual(run(named, details=True).files, {f"output/{n}": b"x" for n in names})
        deep = (
            "import os\ndef main():\n  os.mkdir('output'); home = os.getcwd(); os.chdir('output')\n  for i in range(18):\n    open('f', 'w')\n"
            "    os.mkdir('d' * 255); os.chdir('d' * 255)\n  os.chdir(home)\n  return 1"
        )
        paths = run(deep, details=True, limits={"output_files": 32}).files
        self.assertEqual(len(paths), 16)  # with one more the path would be too long for the server
        self.assertEqual(len(run(deep.replace("255", "1"), details=True, limits={"output_files": 32}).files), 17)


class StreamTest(unittest.TestCase):
    def test_order_of_writers(self) -> None:
        got = run(
            "import os, sys\nprint('a', end='')\nos.write(1, b'b')\nsys.stdout.buffer.write(b'c')\nprint('d')\n"
            "sys.stdout.write('e')\nos.write(1, b'f')\ndef main(): os._exit(3)"
        )
        self.assertEqual((got.stdout, got.frames, got.status), ("abcd\nef", [], 3))

    def test_nothing_is_lost(self) -> None:
        got = run("import fcntl, os\ndef main():\n  fcntl.fcntl(1, fcntl.F_SETFL, os.O_NONBLOCK)\n  print('x' * 1000000)\n  return 1")
        self.assertEqual(len(got.stdout), 1_000_001)
        got = run("import io, sys\nsys.stdout = io.TextIOWrapper(sys.stdout.buffer, 'utf-8')\nprint('late')\ndef main(): return 1")
        self.assertEqual(got.stdout, "late\n")
        self.assertEqual(run("def main():\n  print('\\ud800')\n  return 1").stdout, "\\ud800\n")

    def test_broken_streams(self) -> None:
        self.assertEqual(run("import sys\ndef main():\n  sys.stdout = None\n  print(1)\n  del sys.stderr\n  return 7").result, 7)
        self.assertEqual(run("import sys\nclass S:\n  def flush(s): raise SystemExit\ndef main():\n  sys.stdout = S()\n  return 7").result, 7)

    def test_speed(self) -> None:
        script = "import time\ndef main():\n  t = time.process_time()\n  for i in range(20000): print(i)\n  return time.process_time() - t"
        self.assertLess(run(script).result, 0.6)


class EndTest(unittest.TestCase):
    def test_exits(self) -> None:
        for call, status, stderr in (("sys.exit()", 0, ""), ("sys.exit(300)", 44, ""), ("sys.exit('bad')", 1, "bad\n")):
            got = run(f"import sys\ndef main():\n  {call}\n  return 1", details=True)
            self.assertEqual((got.error["type"], got.error["exit_status"], got.stderr), ("exited", status, stderr))

    def test_refusals_before_the_run(self) -> None:
        for script, kind in (("print(1)\nx = (", "syntax_error"), ("print(1)\neval('1')", "policy_violation"), ("print(1)", "missing_main")):
            got = run(script, policy="standard")
            self.assertEqual((got.error["type"], got.stdout), (kind, ""))

    def test_memory_by_address_space(self) -> None:
        for body in ("x = [0] * (1 << 33)", "x = []\n  while 1: x.append('a' * 1000)"):
            got = run(f"def main():\n  {body}\n  return 1", memory_bytes=100 << 20, address_space=True)
            self.assertEqual(got.error["type"], "memory_limit")

    def test_address_space_is_known_without_proc(self) -> None:
        code = (
            "import resource, sys; sys.path.insert(0, sys.argv[1]); from pyexec_runner import execute\n"
            "with open('/proc/self/statm') as f: told = int(f.read().split()[0]) * resource.getpagesize()\n"
            "print(execute.address_space() - told, resource.getrlimit(resource.RLIMIT_AS)[0])"
        )
        for most in (resource.RLIM_INFINITY, 1 << 30):
            limit = functools.partial(resource.setrlimit, resource.RLIMIT_AS, (most, most))
            out = subprocess.check_output([sys.executable, "-c", code, str(RUNNER)], text=True, preexec_fn=limit)
            error, left = map(int, out.split())
            self.assertLess(abs(error), 3 << 20, most)
            self.assertEqual(left, most)

    def test_what_is_left_running_changes_nothing(self) -> None:
        scripts = [
            "class D:\n  def __del__(self):\n    while 1: pass\nkeep = D()\ndef main(): return 7",
            "import threading, time\ndef main():\n  threading.Thread(target=time.sleep, args=(300,)).start()\n  return 7",
            "import atexit, time\natexit.register(time.sleep, 300)\ndef main(): return 7",
            "import gc, sys\ndef main():\n  gc.callbacks.append(lambda *a: 1 / 0)\n  sys.excepthook = None\n  return 7",
            "import sys\ndef main():\n  sys.setrecursionlimit(60)\n  return 7",
            "import signal\ndef h(*a): raise RuntimeError\nsignal.signal(14, h)\ndef main():\n  signal.setitimer(signal.ITIMER_REAL, 0.05, 0.0001)\n  return 7",
        ]
        for script in scripts:
            with self.subTest(script):
                self.assertEqual(run(script, timeout=10).result, 7)

    def test_broken_interpreter(self) -> None:
        break_all = (
            "import builtins, json, json.encoder, os, io, sys\ndef main():\n  os.write = os.close = json.dumps = None\n"
            "  json.encoder.c_make_encoder = json.encoder.encode_basestring = None\n  sys.modules.clear()\n"
            "  d = vars(builtins)\n  for n in list(d): d[n] = None\n  "
        )
        self.assertEqual(run(break_all + "return {'a': [1, {'b': 'é'}]}").result, {"a": [1, {"b": "é"}]})
        self.assertEqual(run(break_all + "return {'a': {1, 2}}").error["path"], "$.a")
        self.assertEqual(run(break_all + "return 1 / 0").error["exception"], "ZeroDivisionError")

    def test_traces(self) -> None:
        script = (
            "import sys\ndef t(frame, event, arg):\n  if frame.f_code.co_name not in ('main', 't'): raise SystemExit('trace')\n  return t\n"
            "def main():\n  f = sys._getframe().f_back\n  while f: f.f_trace = t; f = f.f_back\n  sys.settrace(t)\n  sys.setprofile(t)\n  return 1"
        )
        self.assertEqual(run(script).error["type"], "exited")

    def test_random_differs(self) -> None:
        script = "import random, tempfile, uuid\ndef main(): return [random.random(), str(uuid.uuid4())]"
        self.assertNotEqual(run(script).result, run(script).result)


class HostileCorpusTest(unittest.TestCase):
    """The families of the corpus that are harmless outside a sandbox."""

    FAMILIES = ("ret_", "exc_", "parser_", "out_", "mod_")
    SLOW = {"exc_str_hangs.py", "out_cut_inside_character.py", "parser_many_functions.py"}
    KINDS = {
        "invalid": {"syntax_error", "missing_main", "missing_return", "invalid_request"},
        "blocked": {"policy_violation"}, "exception": {"exception"}, "exit": {"exited"},
        "not_json": {"invalid_result"}, "protocol": {"invalid_result"},
    }  # fmt: skip

    def test_expectations(self) -> None:
        folder = SHARED / "hostile"
        if not folder.is_dir():
            if os.environ.get("CI"):
                self.fail(f"{folder} is missing: set SHARED_DIR")
            print(f"SKIPPED: {folder} is missing: set SHARED_DIR", file=sys.stderr)
            self.skipTest(f"{folder} is missing")
        for path in sorted(folder.glob("*.py")):
            if path.name.startswith(self.FAMILIES) and path.name not in self.SLOW:
                with self.subTest(path.name):
                    self.judge(path)

    def judge(self, path: Path) -> None:
        text = path.read_bytes().decode("utf-8")
        header = dict(
            line.lstrip("\ufeff# ").split(": ", 1) for line in text.split("\n")[:14] if line.lstrip("\ufeff").startswith("# ") and ": " in line
        )
        if "needs" in header:
            return
        got = run(text, policy="standard", timeout=20)
        kind, payload = got.frames[-1]
        wanted = header["expect"].split("|")
        if kind == "R":
            self.assertIn("ok", wanted)
            for key in ("result", "result-if-ok"):
                if key in header:
                    self.assertEqual(json.loads(payload), json.loads(header[key]))
            if "stdout-exact" in header:
                self.assertEqual(got.stdout, json.loads(header["stdout-exact"]))
        else:
            allowed = set().union(*(self.KINDS.get(w.removeprefix("error:"), set()) for w in wanted))
            self.assertIn(got.error["type"], allowed)


if __name__ == "__main__":
    unittest.main()
