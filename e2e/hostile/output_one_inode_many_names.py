# expect: ok
# property: [mem][well-formed] one file under two hundred names in output/ does not multiply beyond the bound on bytes
# class: filesystem
# note: its text names output/, so it is run with details: what is collected must be the run's own

import os

NAMES, SIZE = 200, 1 << 20


def main():
    os.makedirs("output", exist_ok=True)
    with open("output/0", "wb") as f:
        f.write(os.urandom(SIZE))
    for i in range(1, NAMES):
        os.link("output/0", f"output/{i}")
    return len(os.listdir("output"))
