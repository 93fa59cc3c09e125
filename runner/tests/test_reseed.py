"""Forks of one zygote draw different numbers, because each child reseeds."""

from __future__ import annotations

import json
import os
import random
import tempfile
import unittest
from collections.abc import Callable

try:
    import numpy
    import numpy.random  # numpy 2 imports it late
except ImportError:
    numpy = None  # type: ignore[assignment]

from pyexec_runner import execute


def in_a_fork(prepare: Callable[[], object]) -> list[object]:
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            prepare()
            drawn = [random.random(), next(tempfile._get_candidate_names())]  # type: ignore[attr-defined]
            if numpy is not None:
                drawn.append(float(numpy.random.random()))
            os.write(writer, json.dumps(drawn).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader, "rb") as f:
        drawn = json.loads(f.read())
    os.waitpid(pid, 0)
    return drawn


class Reseed(unittest.TestCase):
    def test_with(self) -> None:
        for first, second in zip(in_a_fork(execute.reseed), in_a_fork(execute.reseed)):
            self.assertNotEqual(first, second)

    @unittest.skipIf(numpy is None, "NOT TESTED: no numpy, whose generator a fork does not reseed by itself")
    def test_without(self) -> None:
        self.assertEqual(in_a_fork(lambda: None)[2], in_a_fork(lambda: None)[2], "the attack that reseeding stops")


if __name__ == "__main__":
    unittest.main()
