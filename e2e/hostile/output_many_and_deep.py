# expect: ok|error:exception
# property: [deadline][well-formed][next-run] thousands of files and a thousand folders deep in output/ stay within the number that is returned
# class: filesystem
# note: its text names output/, so it is run with details: what is collected must be the run's own

import os

FILES, DEPTH = 3000, 1000


def main():
    os.makedirs("output", exist_ok=True)
    try:
        for i in range(FILES):
            with open(f"output/{i}", "w") as f:
                f.write("x")
    except OSError:
        pass
    fd, depth = os.open("output", os.O_RDONLY), 0
    try:
        for depth in range(DEPTH):
            os.mkdir("d", dir_fd=fd)
            below = os.open("d", os.O_RDONLY, dir_fd=fd)
            os.close(fd)
            fd = below
    except OSError:
        pass
    return depth
