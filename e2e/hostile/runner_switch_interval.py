# expect: error:timeout|ok
# property: [deadline][next-run] a thread that never gives up the interpreter (switch interval of a day) starves its own runner only
# class: interpreter-abuse

import sys, threading, time

DAY_S, RUN_S = 86_400, 60


def _spin():
    end = time.monotonic() + RUN_S
    while time.monotonic() < end:
        pass


def main():
    sys.setswitchinterval(DAY_S)
    threading.Thread(target=_spin, daemon=True).start()
    return "returned"
