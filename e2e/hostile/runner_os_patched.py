# expect: ok|error:exception|error:protocol|error:exit|error:killed|error:timeout
# property: [no-forge][well-formed][deadline][next-run] replacing os.write, os._exit, json, codecs, struct and every function of the modules that a runner may use spoils this answer only
# class: interpreter-abuse

import builtins, codecs, io, json, os, struct, sys, time


def main():
    def broken(*args, **kwargs):
        return None
    for module in (os, json, codecs, struct, io, time, json.encoder, json.decoder):
        for name in list(vars(module)):
            if callable(getattr(module, name)) and not name.startswith("__"):
                try:
                    setattr(module, name, broken)
                except (AttributeError, TypeError):
                    pass
    for name in ("len", "isinstance", "str", "repr", "print", "open", "getattr", "type", "dict", "list"):
        setattr(builtins, name, broken)
    sys.modules.clear()
    return {"a": [1, 2, 3]}
