# expect: ok
# property: [deadline][no-procs][next-run] FIFOs, sockets, unreadable files and folders in output/ are left out and hang nothing
# class: filesystem
# note: its text names output/, so it is run with details: what is collected must be the run's own

import os, socket


def close(name):
    try:
        os.chmod(name, 0)
    except PermissionError:
        pass  # refused at the level landlock, where it would reach files outside


def main():
    os.makedirs("output/closed", exist_ok=True)
    os.mkfifo("output/fifo")
    try:
        socket.socket(socket.AF_UNIX).bind("output/sock")
    except PermissionError:
        pass  # no such sockets at the level landlock
    for name in ("output/closed/file", "output/secret"):
        with open(name, "w") as f:
            f.write("x")
        close(name)
    close("output/closed")
    return sorted(os.listdir("output"))
