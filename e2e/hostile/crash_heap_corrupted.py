# expect: error:killed|error:timeout|error:exception|error:protocol|ok
# property: [zygote][next-run][no-procs] a double free, which makes the C library abort and print, is reported as killed; what it prints is on stderr and shows no address of the server
# class: interpreter-abuse

import ctypes


def main():
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    libc.free.argtypes = [ctypes.c_void_p]
    block = libc.malloc(4000)
    libc.free(block)
    libc.free(block)
    return "survived"
