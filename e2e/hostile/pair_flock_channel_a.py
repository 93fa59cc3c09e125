# expect: ok|blocked-or-contained
# property: [tenant] a flock that run A holds on a read-only file which all runs share is not felt by run B
# class: tenant-isolation
# pair: pair_flock_channel_b
# pair-order: concurrent: a first
# note: record locks (fcntl), which sqlite needs, are a covert channel that stays: see sys_file_locks_shared_inodes

import fcntl, os, time

HOLD_S = 2


def main():
    held = []
    for path in (os.__file__, "/usr", "/"):
        try:
            fd = os.open(path, os.O_RDONLY)
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            held.append(path)
        except OSError:
            pass
    time.sleep(HOLD_S)
    return {"contained": True, "held": held}
