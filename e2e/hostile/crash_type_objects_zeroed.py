# expect: error:killed|error:timeout|error:exception|error:protocol|error:exit|ok
# property: [zygote][next-run][no-procs][deadline] an interpreter whose type objects were overwritten dies alone
# class: interpreter-abuse

import ctypes

TYPES, SIZE = (dict, str, list, int, tuple, type), 256


def main():
    for cls in TYPES:
        ctypes.memset(id(cls) + 24, 0, SIZE)
    return {"a": [1, "x"]}
