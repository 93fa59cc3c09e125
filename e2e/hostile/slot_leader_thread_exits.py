# expect: error:timeout|error:killed|error:exit
# property: [deadline][no-procs][next-run] when the first thread ends and others go on, the run is not taken for over, and its slot is not used again before all of it is dead
# class: process

import ctypes, platform, threading, time

EXIT = 60 if platform.machine() == "x86_64" else 93
THREADS, RUN_S = 8, 60


def _on():
    end = time.monotonic() + RUN_S
    while time.monotonic() < end:
        time.sleep(0.01)


def main():
    for _ in range(THREADS):
        threading.Thread(target=_on).start()
    ctypes.CDLL(None).syscall(ctypes.c_long(EXIT), ctypes.c_long(0))
    return None
