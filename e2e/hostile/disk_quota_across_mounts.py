# expect: blocked-or-contained
# property: [disk][mem][next-run] /tmp, the working directory and /dev/shm share one quota: filling one after the other does not multiply it
# class: resource
# open-at: landlock

import os

EACH, STEP, QUOTA = 60 << 20, 1 << 20, 64 << 20


def main():
    total = {}
    for place in (".", "/tmp", "/dev/shm", "output"):
        written = 0
        try:
            os.makedirs(place, exist_ok=True)
            with open(os.path.join(place, "fill"), "wb", 0) as f:
                while written < EACH:
                    written += f.write(b"\0" * STEP)
        except OSError:
            pass
        total[place] = written
    return {"contained": sum(total.values()) <= QUOTA, "total": total}
