# expect: ok
# property: [deadline][no-procs][next-run] FIFOs, sockets, unreadable files and folders in output/ are left out and hang nothing
# class: filesystem
# note: its text names output/, so it is run with details: what is collected must be the run's own

import os, socket


def main():
    os.makedirs("output/closed", exist_ok=True)
    os.mkfifo("output/fifo")
    socket.socket(socket.AF_UNIX).bind("output/sock")
    for name in ("output/closed/file", "output/secret"):
        with open(name, "w") as f:
            f.write("x")
        os.chmod(name, 0)
    os.chmod("output/closed", 0)
    return sorted(os.listdir("output"))
