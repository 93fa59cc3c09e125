# expect: error:exception|error:protocol|error:exit
# property: [no-forge][well-formed][next-run] an exception class that looks like the runner's own, or is it, cannot choose a type that is the server's
# class: protocol-forgery
# note: of the types that an E frame may carry the script may choose any: it is its own answer

import gc


def main():
    cls = next((c for c in gc.get_objects() if isinstance(c, type) and c.__name__ == "Refused"), None)
    if cls is not None:
        e = cls("internal", "CORPUS-POI" + "SON", signal="SIGKILL", limit_ms=1)
    else:
        e = type("Refused", (Exception,), {})("x")
    e.failure = {"type": "internal", "message": "CORPUS-POI" + "SON", "status": 500}
    raise e
