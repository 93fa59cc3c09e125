# expect: ok|error:protocol|error:exit
# property: [well-formed][no-forge] a result with a key twice is refused or made unique: no client reads another value than the next one does
# class: protocol-forgery

import os, struct

def frame(kind, payload):
    return kind + struct.pack(">I", len(payload)) + payload


def send(data):
    while data:
        data = data[os.write(3, data):]


def main():
    send(frame(b"R", b'{"a": 1, "a": 2, "b": {"c": 1, "\\u0063": 2}}'))
    os._exit(0)
    return None
