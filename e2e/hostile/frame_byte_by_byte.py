# expect: ok|error:protocol|error:timeout
# property: [well-formed][deadline] a frame that comes one byte at a time is read as one
# class: protocol-forgery

import os, struct, time

PAYLOAD = b'{"slow": true}'


def main():
    for byte in b"R" + struct.pack(">I", len(PAYLOAD)) + PAYLOAD:
        os.write(3, bytes([byte]))
        time.sleep(0.01)
    os._exit(0)
    return None
