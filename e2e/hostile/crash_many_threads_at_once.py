# expect: error:killed|error:timeout
# property: [zygote][next-run][no-procs] thirty threads that all crash at the same moment are one death
# class: interpreter-abuse

import ctypes, threading

THREADS = 30


def main():
    gate = threading.Barrier(THREADS + 1)

    def crash():
        gate.wait()
        ctypes.string_at(8, 1)
    for _ in range(THREADS):
        threading.Thread(target=crash, daemon=True).start()
    gate.wait()
    ctypes.string_at(8, 1)
    return None
