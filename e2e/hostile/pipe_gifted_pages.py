# expect: ok|blocked-or-contained|error:protocol
# property: [well-formed][no-forge] pages given to a pipe by vmsplice and changed afterwards, or doubled by tee, are refused or spoil this answer only
# class: protocol-forgery

import ctypes, mmap, os, struct

GIFT = 8


def main():
    libc = ctypes.CDLL(None, use_errno=True)
    page = mmap.mmap(-1, 4096)
    page.write(b"1" * 4096)
    iov = ctypes.create_string_buffer(struct.pack("QQ", ctypes.addressof(ctypes.c_char.from_buffer(page)), 4096), 16)
    given = libc.vmsplice(1, iov, ctypes.c_ulong(1), ctypes.c_uint(GIFT))
    page.seek(0)
    page.write(b"\xff" * 4096)
    r, w = os.pipe()
    doubled = libc.tee(0, w, ctypes.c_size_t(4096), ctypes.c_uint(2))
    return {"contained": given < 0 and doubled < 0, "given": given, "doubled": doubled}
