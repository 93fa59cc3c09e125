# expect: ok
# property: [host-file][no-secret][next-run] links in output/ to files and folders outside, to /proc, to themselves and upwards are not followed when it is collected
# class: filesystem
# note: its text names output/, so it is run with details: what is collected must be the run's own

import os

TARGETS = ("/etc/passwd", "/etc/shadow", "/var/tmp/corpus-host-canary", "/proc/self/environ", "/proc/1/environ", "/proc/self/mem", "/proc/self/fd/0", "/dev/zero", "/dev/stdin", "/", "..", ".", "loop", "../../../../etc/passwd")


def main():
    os.makedirs("output/deep", exist_ok=True)
    for i, target in enumerate(TARGETS):
        os.symlink(target, f"output/link{i}")
        os.symlink(target, f"output/deep/link{i}")
    os.symlink("loop", "output/loop")
    return len(TARGETS)
