# expect: ok|error:protocol|error:exit|error:result_too_large
# property: [well-formed][mem][deadline] eight megabytes of white space around a value do not make an answer of eight megabytes, or are counted
# class: protocol-forgery

import os, struct

def frame(kind, payload):
    return kind + struct.pack(">I", len(payload)) + payload


def send(data):
    while data:
        data = data[os.write(3, data):]


def main():
    send(frame(b"R", b" " * (4 << 20) + b"1" + b"\n" * (4 << 20) + b" " * 100))
    os._exit(0)
    return None
