"""Installs the filter given on stdin as the child does, then runs the file given
as argv[1] and prints the JSON of its main(). The script sees FILTERED, install
and SECOND, the filter in the file argv[2] if there is one. Used by kernel_test.go."""

import ctypes
import json
import os
import struct
import sys

SELF_PID = 0x7FFF5049
PR_SET_NO_NEW_PRIVS, SECCOMP_SET_MODE_FILTER, TSYNC = 38, 1, 1
NR_SECCOMP = {"x86_64": 317, "aarch64": 277}[os.uname().machine]


def install(program: bytes) -> None:
    program = program.replace(struct.pack("<I", SELF_PID), struct.pack("<I", os.getpid()))
    buf = ctypes.create_string_buffer(program, len(program))
    fprog = ctypes.create_string_buffer(struct.pack("@HP", len(program) // 8, ctypes.addressof(buf)))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "no_new_privs")
    if libc.syscall(NR_SECCOMP, SECCOMP_SET_MODE_FILTER, TSYNC, fprog) != 0:
        raise OSError(ctypes.get_errno(), "seccomp")


def main() -> None:
    program = sys.stdin.buffer.read()
    with open(sys.argv[1], encoding="utf-8") as f:
        code = compile(f.read(), sys.argv[1], "exec")
    second = b""
    if len(sys.argv) > 2:
        with open(sys.argv[2], "rb") as f:
            second = f.read()
    names: dict = {"__name__": "script", "FILTERED": bool(program), "install": install, "SECOND": second}
    if program:
        install(program)
    exec(code, names)
    print("RESULT " + json.dumps(names["main"]()), flush=True)
    os._exit(0)


main()
