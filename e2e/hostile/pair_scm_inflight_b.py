# expect: ok
# property: [tenant][health][next-run] descriptors that run A keeps in flight on its own sockets, which the kernel counts for the uid and not for the process, do not stop slots and other runs from passing descriptors
# class: tenant-isolation
# pair: pair_scm_inflight_a
# pair-order: sequential and concurrent: a first
# note: unix(7), ETOOMANYREFS: the count is per uid and is compared with the RLIMIT_NOFILE of whoever sends; a slot with a low limit then cannot send its pidfd. B has only to run

import array, os, socket


def main():
    a, b = socket.socketpair()
    r, w = os.pipe()
    try:
        a.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [r]))])
        passed = len(b.recvmsg(1, 64)[1])
    except OSError as e:
        passed = e.errno
    return {"ran": True, "passed": passed}
