# expect: blocked-or-contained
# property: [no-conn] the run's network cannot be changed: no interface, address, route, device, other namespace or kernel protocol
# class: kernel-surface

import ctypes, fcntl, os, socket, struct

LIBC = ctypes.CDLL(None, use_errno=True)
IFREQ = struct.pack("16sH2s4s16x", b"lo:1", socket.AF_INET, b"", bytes([10, 0, 0, 1]))
IOCTLS = {"address": 0x8916, "mask": 0x891C, "flags": 0x8914, "route": 0x890B, "name": 0x8923, "bridge": 0x89A0, "tunnel": 0x89F1, "private": 0x8B00}
OPTIONS = {
    "mark": (socket.SOL_SOCKET, 36, struct.pack("i", 1)), "filter": (socket.SOL_SOCKET, 26, bytes(16)),
    "iptables": (socket.IPPROTO_IP, 64, bytes(84)), "ip6tables": (41, 64, bytes(84)), "transparent": (socket.IPPROTO_IP, 19, struct.pack("i", 1)),
    "source route": (socket.IPPROTO_IP, 4, bytes([131, 7, 4, 10, 0, 0, 1, 0])), "kernel TLS": (6, 31, b"tls\0"), "repair": (6, 19, struct.pack("i", 1)),
}


def done(what):
    try:
        what()
    except OSError:
        return False
    return True


def libc(function, *args):
    if getattr(LIBC, function)(*args) == -1:
        raise OSError(ctypes.get_errno(), function)


def main():
    out = []
    try:
        s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    except OSError:
        s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    inet = s.family == socket.AF_INET
    with s:
        out += [name for name, number in IOCTLS.items() if done(lambda: fcntl.ioctl(s, number, IFREQ))]
        out += [name for name, option in OPTIONS.items() if inet and done(lambda: s.setsockopt(*option))]
    out += [f"unshare {flag:x}" for flag in (0x40000000, 0x10000000, 0x50000000) if done(lambda: libc("unshare", ctypes.c_int(flag)))]
    for path in ("/proc/1/ns/net", "/proc/self/ns/net"):
        if done(lambda: libc("setns", ctypes.c_int(os.open(path, os.O_RDONLY)), ctypes.c_int(0x40000000))):
            out.append("setns " + path)
    for path in ("/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv4/ip_nonlocal_bind", "/dev/net/tun", "/proc/net/ip_tables_names"):
        if done(lambda: os.close(os.open(path, os.O_RDWR))):
            out.append(path)
    return {"contained": not out, "reached": out}
