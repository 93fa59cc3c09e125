# expect: ok|error:protocol|error:exit
# property: [well-formed][health][deadline] numbers of a million digits and exponents of a million cost the server linear time
# class: protocol-forgery

import os, struct

def frame(kind, payload):
    return kind + struct.pack(">I", len(payload)) + payload


def send(data):
    while data:
        data = data[os.write(3, data):]


def main():
    send(frame(b"R", b"[" + b"9" * 1_000_000 + b", 1e" + b"9" * 1_000_000 + b", -0.0e-0]"))
    os._exit(0)
    return None
