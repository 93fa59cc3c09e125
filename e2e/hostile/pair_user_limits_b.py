# expect: blocked-or-contained
# property: [tenant][next-run] quotas that the kernel keeps per uid (pipe pages, inotify instances, epoll watches, pending signals, timers) cannot be used up by run A at the cost of run B
# class: tenant-isolation
# pair: pair_user_limits_a
# pair-order: concurrent: a first

import asyncio, ctypes, fcntl, os, signal, threading

F_GETPIPE_SZ, USUAL = 1032, 65536


def main():
    lacking = []
    r, w = os.pipe()
    if fcntl.fcntl(w, F_GETPIPE_SZ) < USUAL:
        lacking.append("pipe size")
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.timer_create(1, None, ctypes.byref(ctypes.c_void_p())) != 0 and ctypes.get_errno() == 11:
        lacking.append("timer")
    signal.pthread_sigmask(signal.SIG_BLOCK, {35})
    if libc.sigqueue(os.getpid(), 35, ctypes.c_void_p(1)) != 0 and ctypes.get_errno() == 11:
        lacking.append("queued signal")
    try:
        asyncio.run(asyncio.sleep(0))
    except OSError as e:
        lacking.append("asyncio: " + str(e))
    try:
        t = threading.Thread(target=int)
        t.start()
        t.join()
    except RuntimeError:
        lacking.append("thread")
    return {"contained": not lacking, "lacking": lacking}
