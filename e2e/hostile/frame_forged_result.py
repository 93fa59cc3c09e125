# expect: ok|error:protocol|error:exit
# property: [no-forge][well-formed][next-run] a result frame that user code writes itself is at most its own answer
# class: protocol-forgery

import os, struct

def frame(kind, payload):
    return kind + struct.pack(">I", len(payload)) + payload


def send(data):
    while data:
        data = data[os.write(3, data):]


def main():
    send(frame(b"R", b'{"mine": [1, 2, 3]}'))
    os._exit(0)
    return None
