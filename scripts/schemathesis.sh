#!/usr/bin/env bash
# Puts the schemathesis of requirements-fuzz.txt into .pyexec/tools, unless it
# is there.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

tools=$pyexec_dir/tools/schemathesis
stamp=$(sha256sum <"$root/requirements-fuzz.txt")
[ "$(cat "$tools/stamp" 2>/dev/null)" != "$stamp" ] || exit 0
python=$(readlink -f "$pyexec_dir/venv/bin/python3")
say "installing schemathesis"
mkdir -p "$pyexec_dir/tools"
rm -rf "$tools"
"$python" -Ic 'import ensurepip, venv' 2>/dev/null || apt_install python3-venv
"$python" -m venv "$tools"
"$tools/bin/python" -m pip --no-input --disable-pip-version-check install -q --require-hashes --only-binary :all: \
	-r "$root/requirements-fuzz.txt"
echo "$stamp" >"$tools/stamp"
