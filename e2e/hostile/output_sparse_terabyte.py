# expect: ok|error:exception|error:killed
# property: [deadline][mem][disk][next-run] a sparse file of a terabyte in output/ is not read, and a file of just over the bound is cut off or left out and said so
# class: filesystem
# note: its text names output/, so it is run with details: what is collected must be the run's own

import os

SIZES = (1 << 40, (8 << 20) + 1, 9 << 30)


def main():
    os.makedirs("output", exist_ok=True)
    made = 0
    for i, size in enumerate(SIZES):
        try:
            with open(f"output/{i}", "wb") as f:
                f.truncate(size)
            made += 1
        except OSError:
            pass
    return made
