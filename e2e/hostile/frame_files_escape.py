# expect: ok|error:protocol|error:exit
# property: [no-forge][host-file][next-run] a files frame with paths that leave the folder, absent content and wrong types is passed on to no file system and breaks no answer
# class: protocol-forgery
# note: its text names output/, so it is also run with details, where a files frame is expected

import json, os, struct

def frame(kind, payload):
    return kind + struct.pack(">I", len(payload)) + payload


def send(data):
    while data:
        data = data[os.write(3, data):]

PATHS = ("../corpus-planted", "/var/tmp/corpus-planted", "output/../../corpus-planted", "a\x00b", "", ".", "..", "a" * 5000, "output/\ud800x", "C:\\corpus-planted")


def main():
    send(frame(b"F", json.dumps([{"path": p, "content_base64": "Q09SUFVT"} for p in PATHS] + [{"path": 1}, {}, 5, None, {"path": "a", "content_base64": "***"}]).encode()) + frame(b"R", b"1"))
    os._exit(0)
    return None
