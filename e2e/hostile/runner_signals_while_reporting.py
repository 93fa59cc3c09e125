# expect: ok|error:killed|error:exception|error:protocol|error:exit
# property: [no-forge][well-formed][next-run] timers and signals that hit the runner while it writes its report spoil this answer only, and are not taken for the server's own
# class: interpreter-abuse

import signal


def _raise(number, frame):
    raise SystemExit("CORPUS")


def main():
    for s in (signal.SIGALRM, signal.SIGVTALRM, signal.SIGPROF):
        signal.signal(s, _raise)
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    signal.setitimer(signal.ITIMER_VIRTUAL, 0.0005, 0.0005)
    signal.setitimer(signal.ITIMER_PROF, 0.0005, 0.0005)
    return ["x" * 100] * 20_000
