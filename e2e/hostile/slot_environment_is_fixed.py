# expect: blocked-or-contained
# property: [no-secret] the environment names the sandbox and nothing of the server: no address, policy, path of the checkout, secret or SSH, cloud or CI variable
# class: filesystem
# note: at the level landlock the run's own directory, which TMPDIR and HOME name, lies below the server's

import os, re

SUSPECT = re.compile(r"PYEXEC|CORPUS|SECRET|TOKEN|KEY|PASS|SSH|AWS|GCP|GOOGLE|AZURE|CI$|GITHUB|KUBERNETES|SUDO|NSJAIL|GOPATH|GOROOT", re.I)
MOST = 24


def main():
    bad = [n for n in os.environ if SUSPECT.search(n)] + [n for n, v in os.environ.items() if "pyexec" in v.lower() and v != os.getcwd()]
    return {"contained": not bad and len(os.environ) <= MOST, "bad": bad, "names": sorted(os.environ)}
