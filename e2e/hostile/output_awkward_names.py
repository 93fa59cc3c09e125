# expect: ok
# property: [well-formed][host-file] names in output/ with line ends, escapes, bytes that are no UTF-8, two hundred and fifty-five letters, or that look like paths, give valid JSON
# class: filesystem
# note: its text names output/, so it is run with details: what is collected must be the run's own

import os

NAMES = (b"new\nline", b"\xff\xfe\xed\xa0\x80", b"\x1b[2J\x1b]0;x\x07", b"a" * 255, b"...", b" ", b"-rf", b"\\..\\x", b"C:x", b"\xe2\x80\xae", b"\x7f", b"%2e%2e%2f", b"a\r\nX-Isolation: none", b"\xc3\xa9")


def main():
    os.makedirs("output", exist_ok=True)
    for name in NAMES:
        with open(b"output/" + name, "w") as f:
            f.write("x")
    return len(os.listdir("output"))
