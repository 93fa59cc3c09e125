# expect: blocked-or-contained
# property: [no-procs][health][deadline][tenant] threads with stacks of 16 KiB, which no limit on memory stops, are bounded by number; nobody else suffers
# class: resource
# note: without a cgroup the kernel counts threads for the uid, so the bound is that of all runs together and what was there before; it is under the thousands asked for

import ctypes

THREADS = 6000
STACK = 16 << 10
BOUND = 3000

libc = ctypes.CDLL(None)


def main():
    attributes = (ctypes.c_char * 128)()
    libc.pthread_attr_init(attributes)
    libc.pthread_attr_setguardsize(attributes, ctypes.c_size_t(0))
    libc.pthread_attr_setstacksize(attributes, ctypes.c_size_t(STACK))
    pause = ctypes.cast(libc.pause, ctypes.c_void_p)
    made = 0
    thread = ctypes.c_ulong()
    while made < THREADS and libc.pthread_create(ctypes.byref(thread), attributes, pause, None) == 0:
        made += 1
    return {"contained": made <= BOUND, "made": made}
