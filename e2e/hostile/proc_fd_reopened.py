# expect: ok|blocked-or-contained
# property: [no-secret][tenant][well-formed][next-run] reopening the run's own pipes through /proc/self/fd in the other direction yields no byte but the run's own and disturbs no other
# class: protocol-forgery

import os


def main():
    print("before", flush=True)
    got, opened = [], []
    for fd in (0, 1, 2, 3):
        for flags in (os.O_RDONLY, os.O_WRONLY, os.O_RDWR):
            try:
                again = os.open(f"/proc/self/fd/{fd}", flags | os.O_NONBLOCK)
                opened.append([fd, flags])
                if flags != os.O_WRONLY and fd in (0, 3):
                    data = os.read(again, 65536)
                    if data:
                        got.append(data[:60].decode("latin-1"))
            except OSError:
                pass
    return {"contained": not got, "got": got, "opened": opened}
