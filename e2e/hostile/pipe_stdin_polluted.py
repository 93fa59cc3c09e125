# expect: ok
# property: [tenant][result-exact][next-run] the request pipe is the run's standard input and nothing else: it is at its end, cannot be pushed back into, and holds no request
# class: protocol-forgery
# result: ["", false, "", ""]

import os, sys


def main():
    first = os.read(0, 10)
    try:
        os.write(0, b"CORPUS-POI" + b"SON")
        wrote = True
    except OSError:
        wrote = False
    return [first.decode("latin-1"), wrote, sys.stdin.read(), os.read(0, 10).decode("latin-1")]
