# expect: blocked-or-contained
# property: [no-conn] the proxy's port and its socket cannot be had by the run: no binding, no listening, no descriptor of it
# class: network
# open-at: namespaces-no-landlock
# note: without Landlock other addresses of the run's own loopback can be listened on; nobody else is there

import ctypes, os, socket, stat

PORT = 3128


def listens(family, address):
    try:
        with socket.socket(family, socket.SOCK_STREAM) as s:
            for option in (2, 15):  # SO_REUSEADDR, SO_REUSEPORT
                s.setsockopt(socket.SOL_SOCKET, option, 1)
            s.bind(address)
            s.listen()
            return True
    except OSError:
        return False


def main():
    out = [a for a in ("127.0.0.1", "0.0.0.0", "127.0.0.2") if listens(socket.AF_INET, (a, PORT))]
    out += [a for a in ("::1", "::", "::ffff:127.0.0.1") if listens(socket.AF_INET6, (a, PORT))]
    for fd in range(4, 1024):
        try:
            if stat.S_ISSOCK(os.fstat(fd).st_mode):
                out.append(f"fd {fd}")
        except OSError:
            pass
    libc = ctypes.CDLL(None, use_errno=True)
    for pid in (1, 2, os.getppid()):
        pidfd = libc.syscall(ctypes.c_long(434), ctypes.c_long(pid), ctypes.c_long(0))
        if pidfd >= 0:
            out.append(f"pidfd of {pid}")
    return {"contained": not out, "reached": out}
