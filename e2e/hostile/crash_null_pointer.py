# expect: error:killed
# property: [zygote][next-run][no-procs] a read of address 0 is a SIGSEGV of this run, reported as killed, and its slot is as good as new
# class: interpreter-abuse

import ctypes


def main():
    ctypes.c_char.from_address(1).value
    return None
