# expect: ok
# property: [host-file][no-secret][next-run] output/ itself being a link to a folder outside collects nothing of it
# class: filesystem
# note: its text names output/, so it is run with details: what is collected must be the run's own

import os

# Collected would be output/passwd and the like.


def main():
    os.symlink("/etc", "output")
    return os.path.islink("output")
