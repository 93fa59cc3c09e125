# expect: ok|blocked-or-contained|error:exception
# property: [disk][next-run][deadline] hard links, long names and empty folders count against the number of files, and are gone for the next run
# class: resource
# open-at: landlock

import os

MOST = 20_000


def main():
    made = 0
    try:
        open("first", "w").close()
        for i in range(MOST):
            os.link("first", f"l{i:05d}" + "x" * 240)
            made += 1
    except OSError:
        pass
    folders = 0
    try:
        for i in range(MOST):
            os.mkdir(f"d{i}")
            folders += 1
    except OSError:
        pass
    return {"contained": folders < MOST, "links": made, "folders": folders}
