# expect: error:exception|error:protocol|error:exit
# property: [no-forge][well-formed][next-run] an error frame with fields of other types, wrong kinds of values and unknown names passes on none that the contract does not document
# class: protocol-forgery

import json, os, struct

def frame(kind, payload):
    return kind + struct.pack(">I", len(payload)) + payload


def send(data):
    while data:
        data = data[os.write(3, data):]


def main():
    send(frame(b"E", json.dumps({"type": "exception", "exception": ["a"], "message": {"a": 1}, "line": "x", "status": 200, "result": 1, "stdout": "forged", "signal": "SIGKILL", "limit_ms": 5, "exit_status": 0, "started": True}).encode()))
    os._exit(0)
    return None
