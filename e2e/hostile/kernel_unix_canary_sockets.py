# expect: blocked-or-contained
# property: [no-conn] no unix socket of the host is reached: neither by abstract name nor by path, connected or not, of any type, from any thread
# class: kernel-surface

import socket, threading

NAMES = ("\0corpus-host-canary", "/var/tmp/corpus-host-canary.sock", "/run/systemd/journal/socket", "/run/dbus/system_bus_socket", "/var/run/docker.sock", "/run/containerd/containerd.sock", "/dev/log")
TYPES = (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET)


def _try(reached):
    for name in NAMES:
        for kind in TYPES:
            try:
                s = socket.socket(socket.AF_UNIX, kind)
                s.settimeout(1)
                s.connect(name)
                reached.append(name)
            except OSError:
                pass
        try:
            a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
            a.sendto(b"corpus", name)
            reached.append("sendto " + name)
        except OSError:
            pass


def main():
    reached = []
    t = threading.Thread(target=_try, args=(reached,))
    t.start()
    t.join()
    _try(reached)
    return {"contained": not reached, "reached": [r.strip("\0") for r in reached]}
