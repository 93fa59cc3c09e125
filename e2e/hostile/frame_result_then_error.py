# expect: ok|error:protocol|error:exit
# property: [no-forge][well-formed][next-run] an error frame after a result frame does not turn the answer into another
# class: protocol-forgery

import os, struct

def frame(kind, payload):
    return kind + struct.pack(">I", len(payload)) + payload


def send(data):
    while data:
        data = data[os.write(3, data):]


def main():
    send(frame(b"R", b"1") + frame(b"E", b'{"type": "memory_limit", "message": "CORPUS-POI' + b'SON"}'))
    os._exit(0)
    return None
