# expect: error:timeout|ok|error:exit|error:protocol|error:killed
# property: [deadline][no-procs][next-run] a run that gave its result and then does not end holds neither the answer nor its slot beyond the deadline
# class: interpreter-abuse

import os, sys, threading, time


def _stay(*args):
    while True:
        time.sleep(1)


def main():
    os._exit = os.abort = sys.exit = _stay
    threading.Thread(target=_stay).start()
    return "given"
