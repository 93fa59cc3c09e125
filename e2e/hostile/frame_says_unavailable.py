# expect: error:protocol|error:exit
# property: [no-forge][well-formed][next-run] an error frame of type unavailable, overloaded or rate_limited does not become the server's 503: a client would try again
# class: protocol-forgery

import json, os, struct

def frame(kind, payload):
    return kind + struct.pack(">I", len(payload)) + payload


def send(data):
    while data:
        data = data[os.write(3, data):]


def main():
    send(frame(b"E", json.dumps({"type": "unavailable", "message": "CORPUS-POI" + "SON", "started": False, "retry_after": 1}).encode()))
    os._exit(0)
    return None
