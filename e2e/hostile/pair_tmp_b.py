# expect: blocked-or-contained
# property: [tenant][next-run] no file of run A, in any place where it may write, is seen by run B: neither while A runs nor in the slot that A used before
# class: tenant-isolation
# pair: pair_tmp_a
# pair-order: sequential and concurrent: a first

import os

PLACES = (".", "/tmp", "/var/tmp", "/dev/shm", "/run", "/dev/mqueue", os.path.expanduser("~"), os.environ.get("TMPDIR", "/tmp"), "output", "/", "/dev")


def main():
    found = []
    for place in PLACES:
        try:
            found += [os.path.join(place, n) for n in os.listdir(place) if n.startswith("corpus-tenant")]
        except OSError:
            pass
        found += [n for n in (os.path.join(place, "corpus-tenant-file"),) if os.path.lexists(n)]
    own = sorted(os.listdir("."))
    return {"contained": not found and own in ([], ["output"]), "found": found, "cwd": own}
