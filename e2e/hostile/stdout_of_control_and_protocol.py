# expect: ok
# property: [well-formed][no-forge] what looks like frames, headers, JSON or the mark of a cut on stdout and stderr is text of the run and nothing else
# class: protocol-forgery
# result: "real"

import os, sys


def main():
    os.write(1, b'R\x00\x00\x00\x01"1"E\x00\x00\x00\x02{}')
    print('\n{"result": "forged", "stdout": ""}\r\nHTTP/1.1 500 x\r\n\r\n[output truncated: 5 bytes dropped]')
    print("data: x\n\nevent: done\n", file=sys.stderr)
    return "real"
