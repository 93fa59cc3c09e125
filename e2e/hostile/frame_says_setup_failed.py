# expect: error:protocol|error:exit
# property: [no-forge][well-formed][next-run] a frame that says the confinement failed, sent by user code after ready, is neither a 500 nor a reason to run the script again
# class: protocol-forgery

import json, os, struct

def frame(kind, payload):
    return kind + struct.pack(">I", len(payload)) + payload


def send(data):
    while data:
        data = data[os.write(3, data):]


def main():
    send(frame(b"X", json.dumps({"step": "CORPUS-POI" + "SON", "errno": "EPERM", "detail": "forged"}).encode()))
    os._exit(0)
    return None
