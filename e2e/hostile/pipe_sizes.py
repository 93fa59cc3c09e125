# expect: ok|error:protocol|error:exit
# property: [well-formed][tenant][next-run] making the run's own pipes a page small, a megabyte large, or packet by packet changes nothing but its own answer
# class: protocol-forgery

import fcntl, os

F_SETPIPE_SZ, O_DIRECT = 1031, 0o40000


def main():
    print("x" * 10_000, flush=True)
    for fd in (0, 1, 2, 3):
        for size in (4096, 1 << 20, 1 << 30, 0):
            try:
                fcntl.fcntl(fd, F_SETPIPE_SZ, size)
            except OSError:
                pass
        try:
            fcntl.fcntl(fd, fcntl.F_SETFL, O_DIRECT | os.O_APPEND)
        except OSError:
            pass
    for _ in range(300):
        print("y" * 1000)
    return ["z" * 1000] * 300
