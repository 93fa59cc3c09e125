"""What a fork of each zygote costs, and where: run with the sandbox's Python,

    .pyexec/venv/bin/python3 -I -B e2e/bench/fork.py

without isolation and without a server: one warm interpreter for each set of
imports.  Medians, in microseconds.
"""

import gc
import json
import os
import statistics
import struct
import sys
import time

for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ[_name] = "1"  # before any import, as the server does
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "runner"))

from pyexec_runner import execute, script, serialise, syscalls, warm, zygote  # noqa: E402

FORKS = 60
BASE = "datetime random string typing textwrap decimal statistics csv uuid pathlib traceback calendar logging".split()
SETS = {
    "runner": [],
    "base": BASE,
    "net": [*BASE, "asyncio", "ssl", "requests"],
    "numpy": [*BASE, "numpy"],
    "pandas": [*BASE, "numpy", "pandas"],
}
HELLO = "def main():\n    return {'message': 'Hello World'}\n"
GROUP = (
    "import pandas as pd\n"
    "def main():\n"
    "    df = pd.DataFrame({'k': ['a', 'b', 'a'], 'v': [1, 2, 3]})\n"
    "    return df.groupby('k')['v'].sum().to_dict()\n"
)


def forked(work):
    """The median time of fork, work and exit, and that of what work returns."""
    whole, inside = [], []
    for _ in range(FORKS):
        reader, writer = os.pipe()
        began = time.perf_counter()
        pid = os.fork()
        if pid == 0:
            try:
                os.write(writer, struct.pack("=d", work() or 0.0))
            finally:
                os._exit(0)
        os.waitpid(pid, 0)
        whole.append(time.perf_counter() - began)
        os.close(writer)
        inside.append(struct.unpack("=d", os.read(reader, 8))[0])
        os.close(reader)
    return statistics.median(whole) * 1e6, statistics.median(inside) * 1e6


def one_by_one(pages):
    for advice, areas, _, _ in pages:
        for start, length in struct.iter_unpack("@NN", areas):
            syscalls.madvise(start, length, advice)


def run(text, pages):
    warm.populate(pages)
    null = os.open("/dev/null", os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    execute.reseed()
    execute.get_ready()
    request = json.dumps({"script": text, "policy": "standard", "limits": {"depth": 200}}).encode()
    began = time.perf_counter()
    execute.run(request, null, flush=lambda: None)
    return time.perf_counter() - began


def again(text):
    """The same script over and over in one process: what nobody can be faster than."""
    times = []
    for _ in range(20):
        began = time.perf_counter()
        parsed = script.read(text, "standard")
        namespace = {"__name__": "script", "__builtins__": __builtins__}
        exec(parsed.code, namespace)
        serialise.encode(namespace["main"](), {})
        times.append(time.perf_counter() - began)
    return statistics.median(times[5:]) * 1e6


def measure(name):
    began = time.process_time()
    zygote._import(SETS[name])
    imported = time.process_time()
    modules = SETS[name] or ["json"]
    warm.rehearse(modules)
    rehearsed = time.process_time()
    gc.collect()
    gc.freeze()
    pages = warm.record(modules)
    text = GROUP if name == "pandas" else HELLO
    with open("/proc/self/smaps_rollup") as f:
        anonymous = next(int(line.split()[1]) for line in f if line.startswith("Anonymous:"))
    with open("/proc/self/maps") as f:
        mappings = len(f.readlines())
    bare, _ = forked(lambda: None)
    loop, _ = forked(lambda: one_by_one(pages))
    vector, _ = forked(lambda: warm.populate(pages))
    _, cold = forked(lambda: run(text, pages))
    print(
        f"{name:8}{(imported - began) * 1e3:8.0f}{(rehearsed - imported) * 1e3:10.0f}{mappings:10}{anonymous / 1024:9.1f}"
        f"{sum(p[3] for p in pages) // 4096:8}{sum(p[2] for p in pages):7}{bare:8.0f}{loop:11.0f}{vector:9.0f}{cold:9.0f}{again(text):9.0f}",
        flush=True,
    )


def main():
    print(
        f"{'imports':8}{'CPU ms':>8}{'rehearsal':>10}{'mappings':>10}{'anon MB':>9}{'pages':>8}{'areas':>7}"
        f"{'fork':>8}{'+madvise':>11}{'+1 call':>9}{'the run':>9}{'if warm':>9}",
        flush=True,  # or each fork would print it again
    )
    for name in SETS:
        pid = os.fork()  # each set in a process of its own
        if pid == 0:
            try:
                measure(name)
            finally:
                os._exit(0)
        os.waitpid(pid, 0)


if __name__ == "__main__":
    main()
