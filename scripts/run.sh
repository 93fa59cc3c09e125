#!/usr/bin/env bash
# Serves on $PORT or 8080, with what `make setup` and `make build` made.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

export PORT=${PORT:-8080}
if [ -n "${SETUP_DIR:-}" ]; then # not beside bin/, where the server looks
	export PYEXEC_PYTHON=$pyexec_dir/venv/bin/python3
	[ ! -e "$pyexec_dir/bin/nsjail" ] || export PYEXEC_NSJAIL=$pyexec_dir/bin/nsjail
fi
exec "$root/bin/pyexec" serve "$@"
