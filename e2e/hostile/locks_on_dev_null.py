# expect: blocked-or-contained
# property: [health][deadline][tenant] record locks on /dev/null, whose inode is the host's, are not kept by the kernel
# class: resource

import fcntl
import os
import struct

LOCKS = 2_000
F_OFD_GETLK, F_OFD_SETLK = 36, 37


def locked(fd, kind, start):
    return struct.pack("hhqqixxxx", kind, os.SEEK_SET, start, 1, 0)


def main():
    fd = os.open("/dev/null", os.O_RDWR)
    kept = 0
    for i in range(LOCKS):
        try:
            fcntl.fcntl(fd, fcntl.F_SETLK, locked(fd, fcntl.F_WRLCK, 2 * i))
        except OSError:
            break
    try:  # asked as another owner: an open file
        seen = struct.unpack("hhqqixxxx", fcntl.fcntl(fd, F_OFD_GETLK, locked(fd, fcntl.F_WRLCK, 0)))
        kept += seen[0] != fcntl.F_UNLCK
    except OSError:
        pass
    try:
        fcntl.fcntl(fd, F_OFD_SETLK, locked(fd, fcntl.F_WRLCK, 1))
        kept += 1
    except OSError:
        pass
    return {"contained": kept == 0, "kept": kept}
