# expect: ok|error:protocol|error:killed
# property: [host-file][no-secret][deadline] threads that swap files in output/ for links, and make them grow, while they are collected bring nothing from outside into the answer
# class: filesystem
# note: its text names output/, so it is run with details: what is collected must be the run's own

import os, threading

THREADS, NAMES = 4, 16


def _swap(k):
    while True:
        for i in range(NAMES):
            try:
                os.symlink("/var/tmp/corpus-host-canary" if k % 2 else "/proc/self/environ", f"output/new{k}")
                os.rename(f"output/new{k}", f"output/{i}")
                with open(f"output/file{k}", "ab") as f:
                    f.write(b"x" * 4096)
                os.rename(f"output/file{k}", f"output/{i}")
            except OSError:
                pass


def main():
    os.makedirs("output", exist_ok=True)
    for i in range(NAMES):
        open(f"output/{i}", "w").close()
    for k in range(THREADS):
        threading.Thread(target=_swap, args=(k,), daemon=True).start()
    return "started"
