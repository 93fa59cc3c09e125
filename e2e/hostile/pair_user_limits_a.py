# expect: ok|blocked-or-contained|error:exception
# property: [tenant][next-run] quotas that the kernel keeps per uid (pipe pages, inotify instances, epoll watches, pending signals, timers) cannot be used up by run A at the cost of run B
# class: tenant-isolation
# pair: pair_user_limits_b
# pair-order: concurrent: a first

import ctypes, fcntl, os, signal, time

HOLD_S, MOST, F_SETPIPE_SZ, PIPE = 2, 4000, 1031, 1 << 20


def main():
    libc = ctypes.CDLL(None)
    keep, made = [], {"pipes": 0, "big": 0, "inotify": 0, "timers": 0, "queued": 0}
    signal.pthread_sigmask(signal.SIG_BLOCK, {34, 35})
    for _ in range(MOST):
        if libc.timer_create(1, None, ctypes.byref(ctypes.c_void_p())) != 0:
            break
        made["timers"] += 1
    for _ in range(20):
        fd = libc.inotify_init1(0)
        if fd < 0:
            break
        made["inotify"] += 1
    for _ in range(MOST):
        if libc.sigqueue(os.getpid(), 35, ctypes.c_void_p(1)) != 0:
            break
        made["queued"] += 1
    try:
        while True:
            r, w = os.pipe()
            keep.append((r, w))
            made["pipes"] += 1
            try:
                fcntl.fcntl(w, F_SETPIPE_SZ, PIPE)
                made["big"] += 1
            except OSError:
                pass
    except OSError:
        pass
    for r, w in keep[:4]:
        os.close(r), os.close(w)
    time.sleep(HOLD_S)
    return {"contained": True, "made": made}
