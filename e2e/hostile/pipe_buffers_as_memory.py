# expect: blocked-or-contained
# property: [mem][health][next-run] what lies in pipes and socket buffers that nobody reads is charged to the run and stays below its limit
# class: resource

import fcntl, os, socket

F_SETPIPE_SZ, BLOCK = 1031, b"x" * 65536
LIMIT = 512 << 20


def main():
    kept, total = [], 0
    try:
        for i in range(300):
            r, w = os.pipe() if i % 2 else [s.detach() for s in socket.socketpair()]
            kept += [r, w]
            os.set_blocking(w, False)
            try:
                fcntl.fcntl(w, F_SETPIPE_SZ, 1 << 20)
            except OSError:
                pass
            try:
                while True:
                    total += os.write(w, BLOCK)
            except BlockingIOError:
                pass
    except OSError:
        pass
    return {"contained": total < LIMIT, "total_mb": total >> 20, "descriptors": len(kept)}
