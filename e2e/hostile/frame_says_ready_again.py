# expect: ok|error:protocol|error:exit
# property: [no-forge][well-formed][next-run] ready bytes sent by user code before its result do not make its slot ready for the next run
# class: protocol-forgery

import os, struct

def frame(kind, payload):
    return kind + struct.pack(">I", len(payload)) + payload


def send(data):
    while data:
        data = data[os.write(3, data):]


def main():
    send(b"Y" * 3 + frame(b"R", b"1") + b"Y")
    os._exit(0)
    return None
