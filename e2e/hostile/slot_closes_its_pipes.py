# expect: error:timeout|error:protocol|error:exit
# property: [deadline][no-procs][no-forge] a run that closes all its pipes and goes on is over at its deadline at the latest, and its place is not taken before it is dead
# class: process

import os, time

RUN_S = 60


def main():
    for fd in range(0, 64):
        try:
            os.close(fd)
        except OSError:
            pass
    end = time.monotonic() + RUN_S
    while time.monotonic() < end:
        time.sleep(0.1)
    return None
