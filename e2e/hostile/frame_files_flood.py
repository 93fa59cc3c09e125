# expect: ok|error:protocol|error:exit|error:result_too_large
# property: [mem][health][well-formed] a hundred thousand entries, and a second files frame, stay within the bounds on files
# class: protocol-forgery

import os, struct

def frame(kind, payload):
    return kind + struct.pack(">I", len(payload)) + payload


def send(data):
    while data:
        data = data[os.write(3, data):]

MANY = 100_000


def main():
    send(frame(b"F", b"[" + b",".join([b'{"path": "output/a", "content_base64": ""}'] * MANY) + b"]") * 2 + frame(b"R", b"1"))
    os._exit(0)
    return None
