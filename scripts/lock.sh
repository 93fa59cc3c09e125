#!/usr/bin/env bash
# Writes requirements.txt from requirements.in: the newest releases that every
# Python from 3.11 on can run, with the hash of each of their wheels. Then
# requirements-fuzz.txt, which only a test installs, from requirements-fuzz.in.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

uv=uv==0.13.9

tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
"${SETUP_PYTHON:-python3}" -m venv "$tools"
"$tools/bin/python" -m pip install -q "$uv"
cd "$root"
{
	echo '# Written by "make lock" from requirements.in: do not edit.'
	"$tools/bin/uv" pip compile requirements.in --quiet --universal --python-version 3.11 --fork-strategy fewest \
		--only-binary :all: --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate --upgrade
} >"$tools/requirements.txt"
install -m 644 "$tools/requirements.txt" requirements.txt
{
	echo '# Written by "make lock" from requirements-fuzz.in: do not edit.'
	"$tools/bin/uv" pip compile requirements-fuzz.in --quiet --universal --python-version 3.11 --fork-strategy fewest \
		--only-binary :all: --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate --upgrade
} >"$tools/requirements-fuzz.txt"
install -m 644 "$tools/requirements-fuzz.txt" requirements-fuzz.txt
git --no-pager diff --stat -- requirements.txt requirements-fuzz.txt
