# expect: error:protocol|error:exit
# property: [well-formed][no-forge][next-run] NaN, comments, single quotes, trailing text and an empty payload are no result
# class: protocol-forgery

import os, struct

def frame(kind, payload):
    return kind + struct.pack(">I", len(payload)) + payload


def send(data):
    while data:
        data = data[os.write(3, data):]


def main():
    send(frame(b"R", b'{"a": NaN, /* */ \'b\': Infinity,} {"result": 1}'))
    os._exit(0)
    return None
