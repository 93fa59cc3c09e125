# expect: blocked-or-contained
# property: [no-conn] no address but the proxy's can be connected to: not the world's, not the machine's, no other port of the loopback, not by fast open either
# class: network

import socket

WAIT = 1
FASTOPEN = 0x20000000
ADDRESSES = [
    (socket.AF_INET, ("93.184.216.34", 80)), (socket.AF_INET, ("169.254.169.254", 80)), (socket.AF_INET, ("10.0.0.1", 443)),
    (socket.AF_INET, ("192.168.0.1", 80)), (socket.AF_INET, ("172.17.0.1", 22)), (socket.AF_INET, ("0.0.0.0", 39999)),
    (socket.AF_INET, ("93.184.216.34", 3128)), (socket.AF_INET, ("10.0.0.1", 3128)), (socket.AF_INET, ("169.254.169.254", 3128)),
    (socket.AF_INET6, ("::1", 3128, 0, 0)), (socket.AF_INET6, ("::1", 39999, 0, 0)), (socket.AF_INET6, ("2606:4700::1111", 443, 0, 0)),
    (socket.AF_INET6, ("fe80::1", 80, 0, 1)), (socket.AF_INET6, ("::ffff:169.254.169.254", 80, 0, 0)),
] + [(socket.AF_INET, ("127.0.0.1", port)) for port in (1, 22, 53, 80, 443, 3127, 3129, 5432, 6379, 8080, 9090, 39999)]


def reached(family, address, fast):
    try:
        with socket.socket(family, socket.SOCK_STREAM) as s:
            s.settimeout(WAIT)
            if fast:
                s.sendto(b"x", FASTOPEN, address)
                s.send(b"y")
            else:
                s.connect(address)
            s.getpeername()
            return True
    except OSError:
        return False


def main():
    out = [[fast, *address[:2]] for family, address in ADDRESSES for fast in (False, True) if reached(family, address, fast)]
    return {"contained": not out, "reached": out}
