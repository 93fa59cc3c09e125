# expect: ok|blocked-or-contained
# property: [health][tenant][next-run] making pid 1, the parent or a group the owner of a descriptor sends them no signal when it gets ready (SIGIO, or any other by F_SETSIG)
# class: process

import fcntl, os, signal, struct

F_SETSIG, F_SETOWN_EX, F_OWNER_PID = 10, 15, 1


def main():
    own = []
    for pid in (1, os.getppid() or 1, -os.getpgrp()):
        r, w = os.pipe()
        for name, step in (("F_SETSIG", lambda: fcntl.fcntl(r, F_SETSIG, int(signal.SIGWINCH))), ("F_SETOWN", lambda: fcntl.fcntl(r, fcntl.F_SETOWN, pid)),
                           ("F_SETOWN_EX", lambda: fcntl.fcntl(r, F_SETOWN_EX, struct.pack("ii", F_OWNER_PID, abs(pid)))),
                           ("O_ASYNC", lambda: fcntl.fcntl(r, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK))):
            try:
                step()
                own.append(f"{name} {pid}")
            except OSError:
                pass
        os.write(w, b"x")
    return {"contained": not any(o.startswith(("F_SETOWN", "F_SETSIG")) for o in own), "done": own}
