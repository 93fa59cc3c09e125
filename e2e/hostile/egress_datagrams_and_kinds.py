# expect: blocked-or-contained
# property: [no-conn] beside unix sockets a run has streams of TCP at most: no datagrams, raw, packet, netlink, vsock, SCTP, MPTCP, UDP-Lite, SMC, RDS, TIPC, crypto or XDP sockets
# class: network

import socket

UNIX, STREAM = 1, 1
TCP = {(2, STREAM, 0), (2, STREAM, 6), (10, STREAM, 0), (10, STREAM, 6)}
PROTOCOLS = (0, 1, 2, 6, 17, 33, 58, 132, 136, 255, 256, 262)


def main():
    out = []
    for family in range(2, 47):
        for kind in (1, 2, 3, 4, 5, 6, 10):
            for protocol in PROTOCOLS:
                if (family, kind, protocol) in TCP:
                    continue
                try:
                    socket.socket(family, kind, protocol).close()
                except (OSError, ValueError):
                    continue
                out.append([family, kind, protocol])
    return {"contained": not out, "reached": out[:20]}
