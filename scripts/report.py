"""Reads `go test -json`, prints what a person reads, and counts.

What passed is one line a package; what failed is shown with all that it
printed. The folder given holds what ran before: `unittest`, the output of
Python's tests, and `failed`, the names of failed checks, one a line. Exits 1
when anything failed, or when one of the two suites ran no test.
"""

import collections
import json
import pathlib
import re
import sys


def count_unittest(text):
    """Passed, failed and skipped, from what unittest printed."""
    ran = re.search(r"^Ran (\d+) tests? in", text, re.M)
    if not ran or ran[1] == "0":
        print("python ran no test")
        return 0, 1, 0
    last = text.rstrip().rsplit("\n", 1)[-1]
    said = {key: int(n) for key, n in re.findall(r"(\w[\w ]*)=(\d+)", last)}
    failed = said.get("failures", 0) + said.get("errors", 0) + said.get("unexpected successes", 0)
    skipped = said.get("skipped", 0)
    # A class or module that fails as a whole is an error and no test that ran.
    passed = max(0, int(ran[1]) - failed - skipped)
    if not last.startswith("OK"):
        failed = max(1, failed)
    return passed, failed, skipped


class GoTest:
    """The counts of one run of `go test -json`, printed as it goes."""

    def __init__(self):
        self.counts = collections.Counter()
        self.output = collections.defaultdict(list)
        self.skips = []

    def read(self, lines):
        for line in lines:
            try:
                event = json.loads(line)
                action = event["Action"]
            except (ValueError, KeyError, TypeError):
                print(line, end="")
                continue
            if action in ("output", "build-output"):
                self.keep(event)
            elif action in ("pass", "fail", "skip"):
                self.end(action, event)

    def keep(self, event):
        text = event["Output"]
        if "Test" in event:
            self.output[event["Package"], event["Test"]].append(text)
        elif text != "PASS\n" and "[no test files]" not in text:
            print(text, end="", flush=True)

    def end(self, action, event):
        package, test = event["Package"], event.get("Test")
        if test is None:
            # A package may fail without a test: it did not build, or died.
            if action == "fail" and not self.counts["fail", package]:
                self.counts["fail"] += 1
            # Tests that were running then have never ended.
            for key in [key for key in self.output if key[0] == package]:
                print("".join(self.output.pop(key)), end="", flush=True)
            return
        self.counts[action] += 1
        self.counts[action, package] += 1
        text = "".join(self.output.pop((package, test), []))
        if action == "fail":
            print(text, end="", flush=True)
        elif action == "skip":
            reason = re.findall(r"^\s+\w+\.go:\d+: (.*)", text, re.M)
            print(f"--- SKIP: {test}: {reason[-1] if reason else 'no reason given'}", flush=True)


def main():
    before = pathlib.Path(sys.argv[1])
    go = GoTest()
    go.read(sys.stdin)
    none_ran = not (go.counts["pass"] or go.counts["fail"])
    if none_ran:
        print("go test ran no test")

    unittest = before / "unittest"
    passed, failed, skipped = count_unittest(unittest.read_text() if unittest.exists() else "")
    print(f"python: {passed} passed, {failed} failed, {skipped} skipped")

    checks = before / "failed"
    bad = checks.read_text().splitlines() if checks.exists() else []
    for name in bad:
        print(f"FAIL: {name}")

    passed += go.counts["pass"]
    failed += go.counts["fail"] + len(bad) + none_ran
    skipped += go.counts["skip"]
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
