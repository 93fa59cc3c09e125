#!/usr/bin/env bash
# Writes requirements.txt, requirements-plots.txt and requirements-fuzz.txt,
# which only a test installs, from the .in of each: the newest releases that
# every Python from 3.11 on can run, with the hash of each of their wheels.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

uv=uv==0.13.9

tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
"${SETUP_PYTHON:-python3}" -m venv "$tools"
"$tools/bin/python" -m pip install -q "$uv"
cd "$root"
# lock NAME OPTION...: NAME.txt from NAME.in
lock() {
	{
		echo "# Written by \"make lock\" from $1.in: do not edit."
		"$tools/bin/uv" pip compile "$1.in" --quiet --universal --python-version 3.11 --fork-strategy fewest \
			--only-binary :all: --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate --upgrade "${@:2}"
	} >"$tools/$1.txt"
	install -m 644 "$tools/$1.txt" "$1.txt"
}
lock requirements
mapfile -t there < <(sed -n 's/^\([a-z0-9_.-]*\)==.*/--no-emit-package=\1/p' requirements.txt)
lock requirements-plots "${there[@]}"
lock requirements-fuzz
git --no-pager diff --stat -- requirements.txt requirements-plots.txt requirements-fuzz.txt
