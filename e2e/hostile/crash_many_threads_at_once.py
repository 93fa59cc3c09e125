# expect: error:killed|error:timeout
# property: [zygote][next-run][no-procs] thirty threads that all crash at the same moment are one death
# class: interpreter-abuse

import ctypes, threading

THREADS = 30


def main():
    gate = threading.Barrier(THREADS + 1)

    def crash():
        gate.wait()
        ctypes.c_char.from_address(8).value
    for _ in range(THREADS):
        threading.Thread(target=crash, daemon=True).start()
    gate.wait()
    ctypes.c_char.from_address(8).value
    return None
