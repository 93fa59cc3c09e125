# expect: blocked-or-contained
# property: [host-file][no-secret] the links of /proc (root, cwd, fd, exe, map_files, task) and the folders above the working directory lead nowhere outside the run's own view (runc's CVE-2024-21626)
# class: filesystem

import os

SIGHT = ("var/tmp/corpus-host-canary", "work/main/go.mod", "root", "home", "etc/shadow", "proc/1/environ", "etc/ssh", "var/lib", "boot", "var/tmp")


def _open(path):
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        return bool(os.listdir(fd))           # an empty folder shows nothing
    except NotADirectoryError:
        return True
    except OSError:
        return False
    finally:
        os.close(fd)


def main():
    roots = ["/proc/self/root", "/proc/thread-self/root", "/proc/1/root", "/proc/1/cwd", "/proc/self/cwd/../../../..", "/proc/self/task/../root"]
    for fd in range(0, 64):
        roots += [f"/proc/self/fd/{fd}", f"/proc/self/fd/{fd}/../../../.."]
    hits = []
    for d in ("/tmp", "/dev/shm", os.getcwd()):
        try:
            os.chdir(d)
        except OSError:
            continue
        hits += [os.path.join(r, s) for r in roots + ["/".join([".."] * 12)] for s in SIGHT if _open(os.path.join(r, s))]
    return {"contained": not hits, "hits": hits[:10]}
