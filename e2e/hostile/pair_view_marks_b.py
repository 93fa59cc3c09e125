# expect: blocked-or-contained
# property: [tenant][next-run] modes and times that run A gives to what the view holds are not there for run B in the same slot
# class: tenant-isolation
# pair: pair_view_marks_a
# pair-order: sequential and concurrent: a first

import os

PLACES = ("/", "/etc", "/etc/hosts", "/etc/passwd", "/usr", "/proc", "/dev")
MARK = 1_234_567


def main():
    found = []
    for p in PLACES:
        try:
            is_ = os.stat(p)
        except OSError as refused:
            if os.path.dirname(p) in ("/", "/etc") and not isinstance(refused, FileNotFoundError):
                found.append([p, str(refused)])
            continue
        if int(is_.st_mtime) == MARK or is_.st_mode & 0o777 == 0o100:
            found.append([p, oct(is_.st_mode), is_.st_mtime])
    return {"contained": not found, "found": found}
