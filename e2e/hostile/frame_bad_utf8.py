# expect: ok|error:protocol|error:exit
# property: [well-formed][no-forge] a result whose bytes are no UTF-8 does not reach the answer as it is
# class: protocol-forgery

import os, struct

def frame(kind, payload):
    return kind + struct.pack(">I", len(payload)) + payload


def send(data):
    while data:
        data = data[os.write(3, data):]


def main():
    send(frame(b"R", b'["\xff\xfe\xc0\x80\xed\xa0\x80"]'))
    os._exit(0)
    return None
