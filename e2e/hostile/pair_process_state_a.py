# expect: ok|blocked-or-contained
# property: [tenant][next-run] nothing that run A changes about its process (umask, limits, signals, timers, priority, names, environment, clock) is inherited by the next run of its slot
# class: tenant-isolation
# pair: pair_process_state_b
# pair-order: sequential, B several times: a first
# note: nsjail gives its children nice 19 unless told otherwise: then nice is wrong here, and is to be set on purpose

import os, random, resource, signal, sys, time


def main():
    os.umask(0o777)
    os.environ["CORPUS_STATE"] = "tenant-a"
    os.environ["TZ"] = "Asia/Kathmandu"
    time.tzset()
    sys.setrecursionlimit(77)
    sys.path.insert(0, "/tmp/corpus")
    random.seed(77)
    for s in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE, signal.SIGUSR1):
        signal.signal(s, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2, signal.SIGALRM})
    signal.setitimer(signal.ITIMER_REAL, 60)
    for step in (lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (17, 17)), lambda: resource.setrlimit(resource.RLIMIT_STACK, (1 << 20, 1 << 20)),
                 lambda: os.nice(5), lambda: os.chdir("/"), lambda: open("/proc/self/comm", "w").write("corpus-state"), lambda: os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})):
        try:
            step()
        except (OSError, ValueError):
            pass
    return {"contained": True}
