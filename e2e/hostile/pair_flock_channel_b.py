# expect: blocked-or-contained
# property: [tenant] a flock that run A holds on a read-only file which all runs share is not felt by run B
# class: tenant-isolation
# pair: pair_flock_channel_a
# pair-order: concurrent: a first
# note: record locks (fcntl), which sqlite needs, are a covert channel that stays: see sys_file_locks_shared_inodes

import errno, fcntl, os


def main():
    felt = []
    for path in (os.__file__, "/usr", "/"):
        try:
            fd = os.open(path, os.O_RDONLY)
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError as e:
            if e.errno in (errno.EWOULDBLOCK, errno.EAGAIN):
                felt.append(path)
    return {"contained": not felt, "felt": felt}
