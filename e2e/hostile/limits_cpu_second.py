# expect: error:killed|error:timeout|ok
# property: [no-forge][deadline] a run that lowers its own limit of CPU time is ended by it as killed, or by the server's clock as a timeout: never earlier than that
# class: resource

import resource, time

RUN_S = 60


def main():
    resource.setrlimit(resource.RLIMIT_CPU, (1, 1))
    end = time.monotonic() + RUN_S
    while time.monotonic() < end:
        pass
    return None
