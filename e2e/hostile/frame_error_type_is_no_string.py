# expect: error:protocol|error:exit
# property: [no-forge][well-formed][next-run] an error frame whose type is a list, a number or absent is unusable
# class: protocol-forgery

import os, struct

def frame(kind, payload):
    return kind + struct.pack(">I", len(payload)) + payload


def send(data):
    while data:
        data = data[os.write(3, data):]


def main():
    send(frame(b"E", b'{"type": ["exception"], "message": "m"}'))
    os._exit(0)
    return None
