# expect: ok|error:exception|error:memory
# property: [mem][next-run][well-formed] an environment of a hundred megabytes, set in the C library too, goes with the run
# class: resource

import os

ENTRIES, SIZE = 100, 1 << 20


def main():
    for i in range(ENTRIES):
        os.environ[f"CORPUS_{i}"] = "x" * SIZE
    return len([k for k in os.environ if k.startswith("CORPUS_")])
