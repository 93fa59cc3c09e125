# expect: blocked-or-contained
# property: [tenant][next-run] nothing that run A changes about its process (umask, limits, signals, timers, priority, names, environment, clock) is inherited by the next run of its slot
# class: tenant-isolation
# pair: pair_process_state_a
# pair-order: sequential, B several times: a first
# note: nsjail gives its children nice 19 unless told otherwise: then nice is wrong here, and is to be set on purpose

import os, random, resource, signal, sys, time


def main():
    wrong = {}
    mask = os.umask(0o022)
    if mask == 0o777:
        wrong["umask"] = mask
    if "CORPUS_STATE" in os.environ or time.tzname[0] == "+0545":
        wrong["environ"] = dict(os.environ)
    if sys.getrecursionlimit() == 77 or "/tmp/corpus" in sys.path:
        wrong["interpreter"] = sys.getrecursionlimit()
    for s in (signal.SIGTERM, signal.SIGUSR1):
        if signal.getsignal(s) is signal.SIG_IGN:
            wrong[str(s)] = "ignored"
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, set())
    if blocked & {signal.SIGUSR2, signal.SIGALRM}:
        wrong["blocked"] = [int(s) for s in blocked]
    if signal.getitimer(signal.ITIMER_REAL)[0]:
        wrong["itimer"] = signal.getitimer(signal.ITIMER_REAL)[0]
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] == 17 or resource.getrlimit(resource.RLIMIT_STACK)[1] == 1 << 20:
        wrong["limits"] = True
    if os.getpriority(os.PRIO_PROCESS, 0) >= 5:
        wrong["nice"] = os.getpriority(os.PRIO_PROCESS, 0)
    if os.getcwd() == "/":
        wrong["cwd"] = "/"
    try:
        if "corpus-state" in open("/proc/self/comm").read():
            wrong["comm"] = True
    except OSError:
        pass
    if random.random() == random.Random(77).random():
        wrong["random"] = True
    return {"contained": not wrong, "wrong": wrong}
