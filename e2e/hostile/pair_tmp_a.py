# expect: ok|blocked-or-contained
# property: [tenant][next-run] no file of run A, in any place where it may write, is seen by run B: neither while A runs nor in the slot that A used before
# class: tenant-isolation
# pair: pair_tmp_b
# pair-order: sequential and concurrent: a first

import os, time

PLACES = (".", "/tmp", "/var/tmp", "/dev/shm", "/run", "/dev/mqueue", os.path.expanduser("~"), os.environ.get("TMPDIR", "/tmp"), "output", "/", "/dev")
HOLD_S = 1


def main():
    made = []
    os.makedirs("output", exist_ok=True)
    for place in PLACES:
        try:
            with open(os.path.join(place, "corpus-tenant-file"), "w") as f:
                f.write("TENANT-A")
            os.makedirs(os.path.join(place, "corpus-tenant-dir"), exist_ok=True)
            made.append(place)
        except OSError:
            pass
    time.sleep(HOLD_S)
    return {"contained": True, "made": made}
