# expect: blocked-or-contained
# property: [health][tenant] shared files can neither be thrown out of the page cache nor asked whether they are in it, which would tell what other runs read
# class: tenant-isolation

import ctypes
import os

RWF_NOWAIT = 8
RESOLVE_CACHED = 0x20
DONTNEED = 4
NR_OPENAT2 = 437

libc = ctypes.CDLL(None, use_errno=True)


def main():
    told = []
    fd = os.open(os.__file__, os.O_RDONLY)
    try:
        os.posix_fadvise(fd, 0, 0, DONTNEED)
    except OSError:
        pass
    try:
        os.preadv(fd, [bytearray(16)], 0, RWF_NOWAIT)
        told.append("preadv2: in the cache")
    except BlockingIOError:
        told.append("preadv2: not in the cache")
    except OSError:
        pass
    how = (ctypes.c_uint64 * 3)(0, 0, RESOLVE_CACHED)
    for name in (os.__file__, os.__file__ + ".none"):
        ctypes.set_errno(0)
        got = libc.syscall(NR_OPENAT2, -100, name.encode(), how, 24)
        if got >= 0 or ctypes.get_errno() in (2, 11):  # ENOENT, EAGAIN
            told.append(f"openat2: {got}, errno {ctypes.get_errno()}")
    return {"contained": not told, "told": told}
