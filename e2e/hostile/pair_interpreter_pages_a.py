# expect: ok|error:killed|error:exception|error:protocol|error:exit
# property: [tenant][next-run] pages that a zygote, its slots and its children share are copied on write: run A can break its own interpreter and no other
# class: tenant-isolation
# pair: pair_interpreter_pages_b
# pair-order: sequential, B several times: a first

import ctypes, os

INT_HEADER = 24          # ob_refcnt, ob_type, ob_size; then the digit


def main():
    os.environ.get("x")
    text = "corpus".__class__.__name__
    for n in (200, 201, 202, 203):
        ctypes.memset(id(n) + INT_HEADER, 0x3F, 1)
    for module in ("json", "random", "math", "numpy"):
        try:
            __import__(module).CORPUS_POISON = "CORPUS-POI" + "SON"
        except ImportError:
            pass
    return text
