# expect: error:protocol|error:exit
# property: [no-forge][well-formed][next-run] a frame of a kind that is none ends the run as unusable
# class: protocol-forgery

import os, struct

def frame(kind, payload):
    return kind + struct.pack(">I", len(payload)) + payload


def send(data):
    while data:
        data = data[os.write(3, data):]


def main():
    send(frame(b"Z", b"{}") + frame(b"\x00", b"") + frame(b"R", b"1"))
    os._exit(0)
    return None
