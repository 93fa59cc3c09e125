# expect: blocked-or-contained
# property: [health] half of a socket pair cannot be given an abstract name, which is the host's where there is no network namespace
# class: tenant-isolation

import socket


def main():
    own = socket.gethostname() == "sandbox"  # it has namespaces, so the name is the run's
    one, _ = socket.socketpair()
    try:
        one.bind("\0hostile-squat")
    except OSError as refused:
        return {"contained": True, "stopped_by": str(refused)}
    return {"contained": own}
