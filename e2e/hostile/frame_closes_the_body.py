# expect: error:protocol|error:exit
# property: [no-forge][well-formed] a payload that closes the answer's own braces adds no key to it
# class: protocol-forgery

import os, struct

def frame(kind, payload):
    return kind + struct.pack(">I", len(payload)) + payload


def send(data):
    while data:
        data = data[os.write(3, data):]


def main():
    send(frame(b"R", b'1, "stdout": "forged", "error": {"type": "internal"}}\n{"result": 1'))
    os._exit(0)
    return None
