# expect: error:protocol|error:exit
# property: [no-forge][well-formed][next-run] an error frame of type timeout is not believed: only the server's clock says so
# class: protocol-forgery

import json, os, struct

def frame(kind, payload):
    return kind + struct.pack(">I", len(payload)) + payload


def send(data):
    while data:
        data = data[os.write(3, data):]


def main():
    send(frame(b"E", json.dumps({"type": "timeout", "message": "CORPUS-POI" + "SON", "limit_ms": 1}).encode()))
    os._exit(0)
    return None
