"""Results as JSON: lossless, bounded, and refused with a path."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import decimal
import enum
import json
import pathlib
import sys
import time
import unittest
import uuid
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from pyexec_runner import report, serialise


def encode(value: Any, **limits: int) -> str:
    return serialise.encode(value, limits).decode("utf-8")


def refusal(value: Any, **limits: int) -> dict:
    try:
        serialise.encode(value, limits)
    except report.Refused as refused:
        return refused.failure
    raise AssertionError("not refused")


class LosslessTest(unittest.TestCase):
    def test_plain(self) -> None:
        value = {"a": [1, -0.0, 1e308, 5e-324, True, None, "é😀\u2028\x00\"\\</script>"], "": {}, "l": []}
        self.assertEqual(json.loads(encode(value)), value)
        self.assertEqual(encode((1, (2,))), "[1,[2]]")

    def test_both_ways_agree(self) -> None:
        value = {"a": [[1, "x" * 70000, {"b": [None, 2.5, 2**70]}]] * 3, "k": list(range(10000))}
        fast = serialise._Writer(1 << 24, 200, fast=True).run(value)
        slow = serialise._Writer(1 << 24, 200, fast=False).run(value)
        self.assertEqual(fast, slow)
        self.assertEqual(fast.decode(), encode(value))
        self.assertEqual(json.loads(fast), value)

    def test_big_integers(self) -> None:
        self.assertEqual(len(encode(10**5000)), 5001)
        self.assertEqual(encode([2**53 + 1, -(2**70)]), f"[{2**53 + 1},{-(2**70)}]")

    def test_subclasses_are_read_as_their_base(self) -> None:
        class Evil(dict):
            def items(self) -> Any:
                raise SystemExit

            __iter__ = keys = values = items  # type: ignore[assignment]
            __len__ = items

        class Long(list):
            def __len__(self) -> int:
                return 2**40

            def __iter__(self) -> Any:
                raise GeneratorExit

        class Text(str):
            __str__ = __repr__ = __len__ = lambda self: 1 / 0  # type: ignore[assignment]

        class Number(int):
            __repr__ = __str__ = lambda self: "forged"  # type: ignore[assignment]

        point = collections.namedtuple("point", "x y")
        ordered = collections.OrderedDict(a=1, b=2)
        ordered.move_to_end("a")
        cases = [
            (Evil(a=1), '{"a":1}'), (Long([1, 2]), "[1,2]"), (Text("t"), '"t"'), (Number(7), "7"),
            (point(1, 2), "[1,2]"), (ordered, '{"b":2,"a":1}'), (collections.Counter("aab"), '{"a":2,"b":1}'),
            (collections.defaultdict(list, a=[1]), '{"a":[1]}'), (enum.IntEnum("E", "a b").b, "2"),
            ({Text("k"): 1}, '{"k":1}'),
        ]  # fmt: skip
        for value, text in cases:
            with self.subTest(text):
                self.assertEqual(encode(value), text)
                self.assertEqual(encode([value]), f"[{text}]")

    def test_keys(self) -> None:
        self.assertEqual(encode({1: "a", 2.5: "b", False: "c", None: "d"}), '{"1":"a","2.5":"b","false":"c","null":"d"}')
        self.assertIn("two keys", refusal({1: 1, "1": 2})["message"])
        self.assertIn("keys are text", refusal({(1, 2): 3})["message"])
        self.assertEqual(refusal({"a": {float("nan"): 1}})["path"], "$.a")

    def test_numpy(self) -> None:
        try:
            import numpy as np
        except ImportError:
            self.skipTest("numpy is not installed")
        value = {"i": np.int64(3), "f": np.float32(0.5), "b": np.bool_(True), "s": np.str_("x"), "u": np.uint64(2**64 - 1)}
        self.assertEqual(json.loads(encode(value)), {"i": 3, "f": 0.5, "b": True, "s": "x", "u": 2**64 - 1})
        self.assertEqual(refusal({"a": np.arange(3)})["hint"], "return array.tolist()")
        self.assertIn("NaN", refusal(np.float32("nan"))["message"])
        self.assertIn("datetime64", refusal([np.datetime64("2020")])["message"])

    def test_lookalike(self) -> None:
        fake = type("int64", (), {"__module__": "numpy", "__int__": lambda s: 5, "item": lambda s: 5})
        self.assertEqual(refusal(fake())["type"], "invalid_result")
        liar = type("Liar", (), {"__class__": property(lambda s: dict)})
        self.assertEqual(refusal(liar())["type"], "invalid_result")


class RefusedTest(unittest.TestCase):
    def test_path_type_and_hint(self) -> None:
        point = dataclasses.make_dataclass("Point", ["x"])
        cases = [
            ({"rows": [0, 0, 0, {"when": datetime.datetime.now()}]}, "$.rows[3].when", "datetime", "isoformat()"),
            ({"a b": {1}}, '$["a b"]', "set", "sorted"), ({"x": b""}, "$.x", "bytes", "decode"),
            (decimal.Decimal(1), "$", "Decimal", "str(value)"), (uuid.uuid4(), "$", "UUID", "str(value)"),
            (pathlib.Path("/"), "$", "Path", "str(value)"), (point(1), "$", "Point", "asdict"),
            (enum.Enum("E", "a").a, "$", "E", ".value"), (datetime.timedelta(1), "$", "timedelta", "total_seconds"),
            (range(3), "$", "range", "list"), ({}.keys(), "$", "dict_keys", "list"), (map(str, []), "$", "map", "list"),
            ((x for x in ()), "$", "generator", "list"), (1j, "$", "complex", "real"), (print, "$", "builtin", "call"),
            (sys, "$", "module", ""), (int, "$", "type", ""), (ValueError("x"), "$", "ValueError", "str"),
            ([1, float("nan")], "$[1]", "NaN, which JSON cannot say", ""), (["\ud800"], "$[0]", "surrogate", "replace"),
            (object(), "$", "object", "dicts"), (collections.deque(), "$", "deque", "list"),
        ]  # fmt: skip
        for value, path, name, hint in cases:
            with self.subTest(name):
                got = refusal(value)
                self.assertEqual((got["type"], got["path"]), ("invalid_result", path))
                self.assertIn("not JSON serializable", got["message"])
                self.assertIn(f"{path} is ", got["message"])
                self.assertIn(name, got["message"])
                self.assertIn(hint, got["hint"])

    def test_depth_and_cycles(self) -> None:
        deep: Any = 0
        for _ in range(200):
            deep = [deep]
        self.assertEqual(len(encode(deep)), 401)
        got = refusal([deep])
        self.assertIn("more than 200 levels", got["message"])
        self.assertLessEqual(len(got["path"]), 200)
        cycle: list[Any] = []
        cycle.append({"x": cycle})
        self.assertIn("cycle", refusal(cycle)["message"])
        self.assertEqual(refusal(cycle)["path"], "$[0].x")
        shared: Any = []
        for _ in range(100):
            shared = [shared, shared]
        self.assertEqual(refusal(shared, result_bytes=100_000)["type"], "output_limit")

    def test_hostile_type_name(self) -> None:
        got = refusal(type("E\n\x1b" + "x" * 10000, (), {})())
        self.assertLess(len(got["message"]), 300)
        self.assertNotIn("\x1b", got["message"])

    def test_size(self) -> None:
        start = time.process_time()
        for value in ("\x01" * 9_000_000, ["\x01" * 1000] * 10000, list(range(5_000_000)), "r" * (20 << 20), {"x": 10**9000}):
            self.assertEqual(refusal(value, result_bytes=8000 if isinstance(value, dict) else 8 << 20)["type"], "output_limit")
        self.assertLess(time.process_time() - start, 3)
        self.assertEqual(len(encode("a" * 98, result_bytes=100)), 100)
        self.assertEqual(refusal("a" * 99, result_bytes=100)["type"], "output_limit")
        self.assertEqual(refusal("é" * 50, result_bytes=100)["type"], "output_limit")

    def test_speed(self) -> None:
        rows = [{"id": i, "name": f"user {i}", "score": i * 1.5, "ok": True, "tags": ["a", "b"]} for i in range(13000)]
        start = time.process_time()
        encode(rows)
        self.assertLess(time.process_time() - start, 0.5)


if __name__ == "__main__":
    unittest.main()
