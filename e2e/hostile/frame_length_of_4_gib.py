# expect: error:protocol|error:exit|error:result_too_large|error:killed
# property: [mem][health][no-forge] a length of 4 GiB allocates nothing
# class: protocol-forgery

import os, struct

def frame(kind, payload):
    return kind + struct.pack(">I", len(payload)) + payload


def send(data):
    while data:
        data = data[os.write(3, data):]


def main():
    send(b"R" + struct.pack(">I", 0xFFFFFFFF) + b"[1" * 1000)
    os._exit(0)
    return None
