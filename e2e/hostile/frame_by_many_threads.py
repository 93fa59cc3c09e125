# expect: ok|error:protocol|error:exit|error:killed
# property: [no-forge][well-formed][next-run] threads that write garbage to the result channel while the runner writes its frame spoil this answer only
# class: protocol-forgery

import os, threading, time

THREADS, RUN_S = 8, 0.5


def _noise(end):
    while time.monotonic() < end:
        try:
            os.write(3, b"R\x00\x00\x00\x01")
        except OSError:
            return


def main():
    end = time.monotonic() + RUN_S
    for _ in range(THREADS):
        threading.Thread(target=_noise, args=(end,), daemon=True).start()
    return list(range(1000))
