# expect: blocked-or-contained
# property: [tenant] a socket that run A listens on in each place it may write to cannot be connected to by run B
# class: tenant-isolation
# pair: pair_unix_path_socket_b
# pair-order: concurrent: a first

import os, select, socket

PLACES = ("/tmp", ".", "/dev/shm", "/var/tmp")
HOLD_S = 2


def main():
    listening = []
    for place in PLACES:
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            try:
                s = socket.socket(socket.AF_UNIX, kind)
                s.bind(os.path.join(place, f"corpus-tenant-{int(kind)}.sock"))
                if kind == socket.SOCK_STREAM:
                    s.listen(4)
                listening.append(s)
            except OSError:
                pass
    heard = select.select(listening, [], [], HOLD_S)[0]
    return {"contained": not heard, "listening": len(listening), "heard": len(heard)}
