# expect: blocked-or-contained
# property: [tenant][next-run] modes and times that run A gives to what the view holds are not there for run B in the same slot
# class: tenant-isolation
# pair: pair_view_marks_b
# pair-order: sequential and concurrent: a first

import os

PLACES = ("/", "/etc", "/etc/hosts", "/etc/passwd", "/usr", "/proc", "/dev")
MARK = 1_234_567


def main():
    done = []
    for p in reversed(PLACES):
        try:
            os.utime(p, (MARK, MARK))
            done.append(["utime", p])
        except OSError:
            pass
        try:
            os.chmod(p, 0o100)
            done.append(["chmod", p])
        except OSError:
            pass
    return {"contained": True, "done": done}
