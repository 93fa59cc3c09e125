# expect: ok|error:exception|error:killed|error:timeout|error:memory|error:protocol|error:exit
# property: [no-forge][deadline][next-run] limits that the run lowers on itself (CPU, files, memory, stack, file size) just before its end spoil its own report, and a death by them is no limit of the server's
# class: resource

import resource


def main():
    for name in ("NOFILE", "FSIZE", "CORE", "NPROC", "MEMLOCK", "SIGPENDING", "STACK"):
        try:
            resource.setrlimit(getattr(resource, "RLIMIT_" + name), (0, 0))
        except (AttributeError, ValueError, OSError):
            pass
    resource.setrlimit(resource.RLIMIT_AS, (1 << 20, 1 << 20))
    return ["x" * 1000] * 1000
