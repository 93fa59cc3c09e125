# expect: ok|error:exception|error:protocol|error:exit|error:killed
# property: [no-forge][well-formed][next-run] monitoring callbacks, trace and profile functions of threads and import hooks that stay on see no other run and break only this one
# class: interpreter-abuse

import builtins, sys, threading


def main():
    def hostile(*args):
        raise SystemExit("CORPUS")
    monitoring = getattr(sys, "monitoring", None)
    if monitoring is not None:
        for tool in range(6):
            try:
                monitoring.use_tool_id(tool, "corpus")
                monitoring.register_callback(tool, monitoring.events.PY_START, hostile)
                monitoring.set_events(tool, monitoring.events.PY_START)
            except (ValueError, SystemExit):
                pass
    threading.setprofile(hostile)
    sys.meta_path.insert(0, type("Finder", (), {"find_spec": staticmethod(hostile)}))
    builtins.__import__ = hostile
    sys.excepthook = sys.unraisablehook = hostile
    return {"on": True}
