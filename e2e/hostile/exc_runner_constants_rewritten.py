# expect: error:exception|error:protocol|error:exit
# property: [no-forge][well-formed][next-run] rewriting the constants of every module of the runner (types of failures, kinds of frames) makes no type or field that is the server's
# class: protocol-forgery

import gc, sys

SWAP = {"exception": "internal", "exited": "unavailable", "invalid_result": "timeout", "memory_limit": "killed", "policy_violation": "overloaded"}


def main():
    spaces, frame = [], sys._getframe()
    while frame is not None:                      # the runner's frames below main
        spaces.append(frame.f_globals)
        frame = frame.f_back
    for o in gc.get_objects():                    # its modules, hidden from sys.modules or not
        if isinstance(o, dict) and isinstance(o.get("__name__"), str) and "runner" in o["__name__"]:
            spaces.append(o)
    for space in spaces:
        for key, value in list(space.items()):
            if isinstance(value, str) and value in SWAP:
                space[key] = SWAP[value]
    raise ValueError("plain")
