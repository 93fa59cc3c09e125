"""Threads, locks, queues and pools work, in threads started after the filter."""

import queue
import threading
from concurrent.futures import ThreadPoolExecutor


def main():
    with ThreadPoolExecutor(8) as pool:
        squares = list(pool.map(lambda x: x * x, range(16)))
    q, seen = queue.Queue(), []
    ts = [threading.Thread(target=lambda: seen.append(q.get(timeout=5)), name=f"named-{i}") for i in range(8)]
    [t.start() for t in ts]
    [q.put(i) for i in range(8)]
    [t.join() for t in ts]
    modes = []

    def mode():
        with open("/proc/thread-self/status", encoding="ascii") as f:
            modes.append([line.split()[1] for line in f if line.startswith("Seccomp:")][0])
    t = threading.Thread(target=mode)
    t.start()
    t.join()
    return [sum(squares), sorted(seen), modes == (["2"] if FILTERED else modes)]  # noqa: F821: set by install.py
