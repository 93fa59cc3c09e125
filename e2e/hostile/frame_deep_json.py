# expect: ok|error:protocol|error:exit
# property: [well-formed][health][next-run] a million open brackets, sent past the runner's limit on depth, do not overflow the server's stack
# class: protocol-forgery

import os, struct

def frame(kind, payload):
    return kind + struct.pack(">I", len(payload)) + payload


def send(data):
    while data:
        data = data[os.write(3, data):]

DEEP = 1_000_000


def main():
    send(frame(b"R", b"[" * DEEP + b"]" * DEEP))
    os._exit(0)
    return None
