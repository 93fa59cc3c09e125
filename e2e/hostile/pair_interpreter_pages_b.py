# expect: ok
# property: [tenant][next-run] pages that a zygote, its slots and its children share are copied on write: run A can break its own interpreter and no other
# result: [[200, 201, 202, 203], []]
# class: tenant-isolation
# pair: pair_interpreter_pages_a
# pair-order: sequential, B several times: a first

import json, math, random, sys


def main():
    numbers = [len("x" * 200), len("x" * 201), len("x" * 202), len("x" * 203)]
    marked = sorted(n for n, m in list(sys.modules.items()) if hasattr(m, "CORPUS_POISON"))
    return [numbers, marked]
