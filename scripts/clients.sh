#!/usr/bin/env bash
# Checks the Python client: its types, and its tests against the server at
# $PYEXEC_URL. Installs what they need into .pyexec/clients/.
# scripts/clients.sh --python only installs, and prints the Python that has it.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

venv=$pyexec_dir/clients
stamp=$(sha256sum <"$root/clients/python/requirements-test.txt")
mkdir -p "$pyexec_dir"
exec 9>"$venv.lock"
flock 9 # tests of several packages come at once
if [ "$(cat "$venv/stamp" 2>/dev/null)" != "$stamp" ]; then
	rm -rf "$venv"
	python=${SETUP_PYTHON:-/usr/bin/python3}
	if ! "$python" -m venv "$venv" >/dev/null 2>&1; then
		apt_install python3-venv
		rm -rf "$venv"
		"$python" -m venv "$venv"
	fi
	"$venv/bin/python" -m pip install -q --disable-pip-version-check -r "$root/clients/python/requirements-test.txt"
	echo "$stamp" >"$venv/stamp"
fi
flock -u 9
if [ "${1:-}" = --python ]; then
	echo "$venv/bin/python"
	exit
fi
cd "$root/clients/python"
"$venv/bin/python" -m mypy --no-error-summary --cache-dir "$venv/mypy"
PYTHONPATH=src PYTHONDONTWRITEBYTECODE=1 exec "$venv/bin/python" -W error -m unittest discover -s tests "$@"
