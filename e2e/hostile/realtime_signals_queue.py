# expect: blocked-or-contained
# property: [health][tenant] queued real-time signals, counted for the uid, cannot be used up for other runs
# class: resource

import os
import signal
import socket

FLOOD = 3000


def main():
    own = socket.gethostname() == "sandbox"  # it has namespaces, which count for themselves
    number = signal.SIGRTMIN + 2
    signal.pthread_sigmask(signal.SIG_BLOCK, {number})
    sent = 0
    try:
        for _ in range(FLOOD):
            os.kill(os.getpid(), number)
            sent += 1
    except OSError:
        pass
    queued = 0
    while signal.sigtimedwait({number}, 0) is not None:
        queued += 1
    return {"contained": queued == 0 or own, "sent": sent, "queued": queued}
