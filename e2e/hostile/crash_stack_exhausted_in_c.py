# expect: error:killed|error:exception|ok
# property: [zygote][next-run][no-procs] endless recursion in C code, which no recursion limit sees, ends this run only
# class: interpreter-abuse

import ctypes

DEPTH = 100_000


def main():
    callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)

    def down(n):
        return again(n - 1) if n else 0
    again = callback(down)
    import sys
    sys.setrecursionlimit(10 * DEPTH)
    return again(DEPTH)
