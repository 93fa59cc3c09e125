# expect: ok|error:protocol|error:exit
# property: [no-forge][well-formed][next-run] of two result frames at most the first counts, and the second is in no other answer
# class: protocol-forgery

import os, struct

def frame(kind, payload):
    return kind + struct.pack(">I", len(payload)) + payload


def send(data):
    while data:
        data = data[os.write(3, data):]


def main():
    send(frame(b"R", b'"first"') + frame(b"R", b'"CORPUS-POI' + b'SON"'))
    os._exit(0)
    return None
