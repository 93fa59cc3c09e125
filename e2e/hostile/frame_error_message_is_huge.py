# expect: error:exception|error:protocol|error:exit
# property: [well-formed][no-forge] a message and a traceback of a megabyte, sent past the runner, are cut by the server as well
# class: protocol-forgery

import json, os, struct

def frame(kind, payload):
    return kind + struct.pack(">I", len(payload)) + payload


def send(data):
    while data:
        data = data[os.write(3, data):]


def main():
    send(frame(b"E", json.dumps({"type": "exception", "exception": "E" * 100000, "message": "m" * (1 << 20), "traceback": "t" * (1 << 20), "line": 1 << 70}).encode()))
    os._exit(0)
    return None
