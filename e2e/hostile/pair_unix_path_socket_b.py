# expect: blocked-or-contained
# property: [tenant] a socket that run A listens on in each place it may write to cannot be connected to by run B
# class: tenant-isolation
# pair: pair_unix_path_socket_a
# pair-order: concurrent: a first

import os, socket

PLACES = ("/tmp", ".", "/dev/shm", "/var/tmp")


def main():
    reached = []
    for place in PLACES:
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            try:
                socket.socket(socket.AF_UNIX, kind).connect(os.path.join(place, f"corpus-tenant-{int(kind)}.sock"))
                reached.append([place, int(kind)])
            except OSError:
                pass
    return {"contained": not reached, "reached": reached}
