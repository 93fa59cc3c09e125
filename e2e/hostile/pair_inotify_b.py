# expect: blocked-or-contained
# property: [tenant] run A cannot watch shared read-only files and so learn which modules run B imports: inotify works by inode, whatever the mount namespace
# class: tenant-isolation
# pair: pair_inotify_a
# pair-order: concurrent: a first

import os


def main():
    path = os.path.join(os.path.dirname(os.__file__), "wave.py")
    seen = 0
    try:
        with open(path, "rb") as f:
            seen = len(f.read())
    except OSError:
        pass
    os.listdir("/")
    return {"contained": True, "read": seen}
