# expect: error:killed|error:exception|blocked-or-contained
# property: [disk][next-run] pages written through a mapping of a sparse file stop at the quota: SIGBUS ends this run and no other
# class: resource
# open-at: landlock

import mmap

SIZE, STEP = 256 << 20, 4096


def main():
    with open("sparse", "w+b") as f:
        f.truncate(SIZE)
        m = mmap.mmap(f.fileno(), SIZE)
        for i in range(0, SIZE, STEP):
            m[i] = 1
    return {"contained": False}
