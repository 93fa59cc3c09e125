# expect: blocked-or-contained
# property: [host-file][next-run] no file of the interpreter, its packages or the runner can be removed, renamed, cut, relabelled, linked or opened for writing
# class: filesystem

import os, sys

MOST = 60


def main():
    paths = sorted({getattr(m, "__file__", None) or "" for m in list(sys.modules.values())} - {""})[:MOST]
    frame = sys._getframe()
    while frame is not None:
        paths.append(frame.f_code.co_filename)
        frame = frame.f_back
    paths += [sys.executable, os.path.dirname(os.__file__), sys.prefix, "/etc/hosts", "/etc/ld.so.cache"]
    done = []
    for p in paths:
        if not os.path.exists(p) or os.path.abspath(p).startswith(("/tmp", os.getcwd() + "/")):
            continue
        for name, step in (("write", lambda: os.close(os.open(p, os.O_WRONLY | os.O_APPEND))), ("utime", lambda: os.utime(p)), ("chmod", lambda: os.chmod(p, os.stat(p).st_mode & 0o7777)),
                           ("xattr", lambda: os.setxattr(p, "user.corpus", b"x")), ("rename", lambda: os.rename(p, p)), ("link", lambda: os.link(p, p + ".corpus")),
                           ("create", lambda: os.close(os.open(p + ".corpus", os.O_WRONLY | os.O_CREAT)))):
            try:
                step()
                # A name onto itself is renamed without doing anything. gVisor lets the owner mark
                # what the view itself holds; pair_view_marks sees that it is undone.
                if name != "rename" and not (name in ("utime", "chmod") and p == "/etc/hosts"):
                    done.append([name, p])
            except OSError:
                pass
    return {"contained": not done, "done": done[:10]}
