# expect: blocked-or-contained
# property: [host-file][no-secret] the links of /proc (root, cwd, fd, exe, map_files, task) and the folders above the working directory lead nowhere outside the run's own view (runc's CVE-2024-21626)
# class: filesystem

import os

SIGHT = ("var/tmp/corpus-host-canary", "work/main", "root/.bashrc", "root/.profile", "home", "etc/shadow", "proc/1/environ", "etc/ssh", "var/lib/docker", "boot")


def main():
    roots = ["/proc/self/root", "/proc/thread-self/root", "/proc/1/root", "/proc/1/cwd", "/proc/self/cwd/../../../..", "/proc/self/task/../root", "."]
    for fd in range(0, 64):
        roots += [f"/proc/self/fd/{fd}", f"/proc/self/fd/{fd}/..", f"/proc/self/fd/{fd}/../../../.."]
    for d in ("/tmp", "/dev/shm", os.getcwd()):
        try:
            os.chdir(d)
            roots.append("/".join([".."] * 12))
            more = [os.path.join(r, s) for r in roots for s in SIGHT if not s.startswith(("etc/shadow", "home", "boot"))]
            hits = [p for p in more if os.path.exists(p)]
            if hits:
                return {"contained": False, "hits": hits[:10]}
        except OSError:
            pass
    readable = []
    for r in roots:
        for s in ("etc/shadow", "root", "home"):
            try:
                p = os.path.join(r, s)
                os.listdir(p) if s != "etc/shadow" else open(p).close()
                if os.path.isdir(p) and not os.listdir(p):
                    continue
                readable.append(p)
            except OSError:
                pass
    return {"contained": not readable, "readable": readable[:10]}
