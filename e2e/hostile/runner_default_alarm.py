# expect: error:killed|ok
# property: [no-forge][next-run] a timer left armed with its default action ends the run by SIGALRM or not at all: it is not the server's timeout
# class: interpreter-abuse

import signal, time


def main():
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    time.sleep(0.5)
    return "woken"
