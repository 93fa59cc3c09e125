# expect: ok|error:memory|error:exception
# property: [tenant][mem][next-run] what run A took (memory, tmpfs, shared memory, pipes) is not charged to the next run of its slot, which gets its whole allowance
# class: tenant-isolation
# pair: pair_memory_charge_b
# pair-order: sequential, B several times: a first
# note: of 512 MB; isolate issue 158 was the same with CPU time

import ctypes

TAKE, FILES, SEGMENTS, EACH = 150 << 20, 40 << 20, 4, 8 << 20


def main():
    kept = bytearray(TAKE)
    for i in range(0, TAKE, 4096):
        kept[i] = 1
    for place, size in (("/tmp", FILES // 2), ("/dev/shm", FILES // 2)):
        try:
            with open(place + "/fill", "wb") as f:
                f.write(b"x" * size)
        except OSError:
            pass
    libc = ctypes.CDLL(None)
    libc.shmat.restype = ctypes.c_void_p
    for _ in range(SEGMENTS):               # never removed: nsjail's issue 231
        segment = libc.shmget(0, EACH, 0o1666)
        if segment >= 0:
            ctypes.memset(libc.shmat(segment, None, 0), 1, EACH)
    return len(kept)
