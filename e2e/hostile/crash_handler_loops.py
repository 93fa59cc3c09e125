# expect: error:timeout|error:killed
# property: [deadline][no-procs][next-run] a handler for SIGSEGV, SIGBUS and SIGFPE that returns to the fault for ever is ended at the deadline
# class: interpreter-abuse

import ctypes, signal


def main():
    for s in (signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL):
        signal.signal(s, lambda number, frame: None)
    ctypes.c_char.from_address(1).value
    return None
