# expect: ok|error:exception
# property: [tenant][health][next-run] descriptors that run A keeps in flight on its own sockets, which the kernel counts for the uid and not for the process, do not stop slots and other runs from passing descriptors
# class: tenant-isolation
# pair: pair_scm_inflight_b
# pair-order: sequential and concurrent: a first
# note: unix(7), ETOOMANYREFS: the count is per uid and is compared with the RLIMIT_NOFILE of whoever sends; a slot with a low limit then cannot send its pidfd. B has only to run

import array, socket, time

PAIRS, HOLD_S, PER_MESSAGE, MESSAGES = 50, 2, 250, 20


def main():
    held, sent = [], 0
    try:
        for _ in range(PAIRS):
            a, b = socket.socketpair()
            held.append((a, b))
            a.setblocking(False)
            for _ in range(MESSAGES):
                try:
                    a.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0] * PER_MESSAGE))])
                    sent += PER_MESSAGE
                except OSError:
                    break
    except OSError:
        pass
    time.sleep(HOLD_S)
    return sent
