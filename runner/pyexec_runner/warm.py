"""What makes a child quick: a zygote that has done it all before, and pages
that are there before they are needed.

After a fork the first write to each page costs a fault; on virtual machines
that is by far the largest part of a short run.  The zygote forks a child that
runs a typical script (ours, never a user's) and notes which pages it wrote;
each later child asks the kernel for those in one or two calls before it says
that it is ready.
"""

from __future__ import annotations

import contextlib
import json
import os
import struct
from array import array

from . import execute, report, script, serialise
from . import syscalls as sc

_MADV_POPULATE_READ, _MADV_POPULATE_WRITE = 22, 23  # Linux 5.14
_PAGE = os.sysconf("SC_PAGESIZE")
_PRESENT, _FILE, _EXCLUSIVE = 1 << 63, 1 << 61, 1 << 56
_MOST_AREAS = 1024  # UIO_MAXIOV
_PIPE_SIZE = 64 << 10  # what a pipe holds before anybody reads it
_ROUNDS = 2  # the second finds the caches that the first has filled

Pages = list[tuple[int, bytes, int, int]]  # advice, struct iovec[], how many, how many bytes in all

_BASE = """
import json, math, re, collections
def helper(n):
    return [i * i for i in range(n) if i % 2 == 0]
class Point:
    def __init__(self, x, y):
        self.x, self.y = x, y
def main(data=None):
    words = collections.Counter("the quick brown fox jumps over the lazy dog the end".split())
    text = json.dumps({"words": words, "pi": round(math.pi, 4)})
    found = re.findall(r"[a-z]+", text)
    point = Point(1, 2.5)
    try:
        {}["missing"]
    except KeyError as err:
        found.append(str(err))
    return {"sum": sum(helper(20)), "text": f"{text[:10]}-{point.x}", "found": sorted(set(found))[:5], "last": found[-1]}
"""
_NUMPY = """
import numpy as np
def main(data=None):
    a = np.arange(12, dtype=float).reshape(3, 4)
    return {"sum": float(a.sum()), "mean": a.mean(axis=0).tolist(), "dot": (a @ a.T).tolist(), "text": str(a)}
"""
_PANDAS = """
import pandas as pd
def main(data=None):
    df = pd.DataFrame({"k": ["a", "b", "a"], "v": [1, 2, 3], "w": [0.5, 1.5, 2.5]})
    df["z"] = df["v"] * 2
    grouped = df.groupby("k").agg({"v": "sum", "w": "mean"}).reset_index()
    picked = df[df["v"] > 1].sort_values("v").merge(grouped, on="k")
    return {"grouped": grouped.to_dict(orient="records"), "text": str(grouped), "picked": picked.to_dict(), "mean": float(df["w"].mean())}
"""


_PLOT = """
import io
import matplotlib.pyplot as plt
def main(data=None):
    figure, axes = plt.subplots()
    axes.plot([1, 2, 4], label="line")
    axes.bar([0, 1, 2], [3, 2, 1])
    axes.set(title="Title", xlabel="x", ylabel="y")
    axes.legend()
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    plt.close(figure)
    return len(picture.getvalue())
"""


# What a child is made ready for.  Shorter than what is rehearsed, since a page
# that a run does not need costs as much as one that it does.
_SHORT = """
def main(data=None):
    print("ready")
    return {"message": "Hello World", "values": [1, 2.5, None, True]}
"""
_SHORT_ASYNC = """
import asyncio
async def main(data=None):
    await asyncio.sleep(0)
    return {"message": "Hello World"}
"""
_SHORT_PANDAS = """
import pandas as pd
def main(data=None):
    df = pd.DataFrame({"k": ["a", "b", "a"], "v": [1, 2, 3]})
    return df.groupby("k")["v"].sum().to_dict()
"""


def _scripts(modules: list[str]) -> tuple[list[str], str]:
    """What to rehearse in a zygote, and what to make its children ready for."""
    if "matplotlib" in modules:
        return [_PLOT], _PLOT
    if "pandas" in modules:
        return [_BASE, _NUMPY, _PANDAS, _SHORT_PANDAS], _SHORT_PANDAS
    if "numpy" in modules:
        return [_BASE, _NUMPY], _NUMPY
    if "asyncio" in modules:
        return [_BASE, _SHORT], _SHORT_ASYNC
    return [_BASE, _SHORT], _SHORT


def _rehearse(text: str) -> None:
    parsed = script.read(text, "standard")
    namespace = {"__name__": report.MODULE, "__builtins__": __builtins__}
    exec(parsed.code, namespace)
    serialise.encode(namespace["main"](), {})  # type: ignore[operator]


def rehearse(modules: list[str]) -> None:
    """Runs the typical scripts in the zygote, so that caches, lazy imports and
    specialised code are shared by all its children."""
    with open(os.devnull, "w") as null, contextlib.redirect_stdout(null):
        for text in _scripts(modules)[0]:
            for _ in range(_ROUNDS):
                _rehearse(text)


def record(modules: list[str]) -> Pages:
    """The pages that a typical run needs, so that each child can ask for them
    at once; none where the kernel does not tell."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(reader)
            # Reading of code is worth a call only where much of it is read.
            before = _areas(read_only="numpy" in modules or "pandas" in modules)
            _run_for_nobody(_scripts(modules)[1])
            pages = _touched(before)
            os.write(writer, b"".join(struct.pack("=QQi", *area) for area in pages)[:_PIPE_SIZE])
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader, "rb") as f:
        found = list(struct.iter_unpack("=QQi", f.read()))
    pages: Pages = []
    for advice in (_MADV_POPULATE_WRITE, _MADV_POPULATE_READ):
        areas = [(start, end - start) for start, end, a in found if a == advice]
        for i in range(0, len(areas), _MOST_AREAS):
            some = areas[i : i + _MOST_AREAS]
            packed = b"".join(struct.pack("@NN", *area) for area in some)
            pages.append((advice, packed, len(some), sum(length for _, length in some)))
    return pages


def _run_for_nobody(text: str) -> None:
    """A whole run, its result written to nowhere."""
    null = os.open("/dev/null", os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    execute.reseed()
    execute.get_ready()
    request = {"script": text, "policy": "standard", "env": {}, "files": [], "limits": {"depth": 200}}
    execute.run(json.dumps(request).encode(), null, flush=lambda: None)


def _areas(read_only: bool) -> list[tuple[int, int, bool]]:
    """Start, end and whether it can be written to, of each private mapping."""
    areas = []
    with open("/proc/self/maps") as f:
        for line in f:
            span, mode, _, _, inode = line.split(maxsplit=5)[:5]
            if mode[3] == "p" and mode[0] == "r" and (mode[1] == "w" or read_only and inode != "0"):
                start, end = (int(n, 16) for n in span.split("-"))
                areas.append((start, end, mode[1] == "w"))
    return areas


def _touched(areas: list[tuple[int, int, bool]]) -> list[tuple[int, int, int]]:
    """Which pages of areas are there by now: of the writable ones those that
    are this process's own, of the others those that have been read."""
    pages: list[tuple[int, int, int]] = []
    with open("/proc/self/pagemap", "rb", buffering=0) as f:
        for start, end, writable in areas:
            f.seek(start // _PAGE * 8)
            advice = _MADV_POPULATE_WRITE if writable else _MADV_POPULATE_READ
            last = 0
            for i, entry in enumerate(array("Q", f.read((end - start) // _PAGE * 8))):
                if not entry & _PRESENT or writable and (entry & _FILE or not entry & _EXCLUSIVE):
                    continue
                page = start + i * _PAGE
                if page == last:
                    pages[-1] = (pages[-1][0], page + _PAGE, advice)
                else:
                    pages.append((page, page + _PAGE, advice))
                last = page + _PAGE
    return pages


def populate(pages: Pages) -> None:
    """Takes the faults of a typical run now.  Only time is lost where the
    kernel refuses."""
    for advice, areas, count, size in pages:
        if sc.process_madvise(areas, count, advice) != size:
            for start, length in struct.iter_unpack("@NN", areas):
                sc.madvise(start, length, advice)
