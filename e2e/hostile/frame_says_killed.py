# expect: error:protocol|error:exit
# property: [no-forge][well-formed][next-run] an error frame of type killed is not believed: only the kernel says so
# class: protocol-forgery

import json, os, struct

def frame(kind, payload):
    return kind + struct.pack(">I", len(payload)) + payload


def send(data):
    while data:
        data = data[os.write(3, data):]


def main():
    send(frame(b"E", json.dumps({"type": "killed", "message": "CORPUS-POI" + "SON", "signal": "SIGKILL"}).encode()))
    os._exit(0)
    return None
