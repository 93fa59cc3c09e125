# expect: error:timeout|error:protocol|error:result_too_large
# property: [deadline][mem][no-procs] half a frame, then nothing: the server waits for the deadline and no longer
# class: protocol-forgery

import os, struct, time

WAIT_S = 60


def main():
    os.write(3, b"R" + struct.pack(">I", 8 << 20) + b"[")
    time.sleep(WAIT_S)
    return None
