# expect: blocked-or-contained
# property: [tenant][host-file] from below a bind mount nobody climbs out of it: not by "..", not by a folder moved away under a descriptor, not by a removed working directory
# class: filesystem

import os

INNER = {"w", "s", "t"}


def _climb(fd):
    seen = []
    for _ in range(20):
        try:
            up = os.open("..", os.O_RDONLY | os.O_DIRECTORY, dir_fd=fd)
        except OSError:
            break
        try:
            seen.append(sorted(os.listdir(up))[:60])
        except OSError:
            seen.append(["(closed)"])
        fd = up
    return seen


def main():
    bad = []
    for place, other in ((os.getcwd(), "/tmp"), ("/tmp", "/dev/shm"), ("/dev/shm", os.getcwd())):
        try:
            os.makedirs(place + "/a/b/c", exist_ok=True)
            fd = os.open(place + "/a/b/c", os.O_RDONLY | os.O_DIRECTORY)
            for src, dst in ((place + "/a/b", other + "/moved"), (place + "/a/b/c", place + "/up"), (place + "/a", place + "/up/../a2")):
                try:
                    os.rename(src, dst)
                except OSError:
                    pass
            for names in _climb(fd):
                if INNER <= set(names) and len(names) < 8 or "corpus-host-canary" in names:
                    bad.append([place, names])
        except OSError:
            pass
    os.makedirs("gone", exist_ok=True)
    os.chdir("gone")
    os.rmdir("../gone")
    try:
        if "corpus-host-canary" in os.listdir("../../var/tmp"):
            bad.append("removed folder")
    except OSError:
        pass
    return {"contained": not bad, "bad": bad}
