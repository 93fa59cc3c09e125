#!/usr/bin/env bash
# Serves on $PORT or 8080, with what `make setup` and `make build` made.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

export PORT=${PORT:-8080}
exec "$root/bin/pyexec" serve "$@"
