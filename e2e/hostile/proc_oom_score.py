# expect: blocked-or-contained
# property: [mem][tenant] a run cannot take itself out of the sight of the kernel's memory killer, nor put another in its place
# class: kernel-surface

def _value(path):
    try:
        return int(open(path).read())
    except (OSError, ValueError):
        return None


def main():
    before, done = _value("/proc/self/oom_score_adj"), []
    for path in ("/proc/self/oom_score_adj", "/proc/self/oom_adj", "/proc/1/oom_score_adj", "/proc/thread-self/oom_score_adj"):
        for value in ("-1000", "-17", str((before or 0) - 1)):
            try:
                with open(path, "w") as f:
                    f.write(value)
                done.append([path, value])
            except OSError:
                pass
    return {"contained": not done, "done": done, "before": before}
