#!/usr/bin/env bash
# Builds bin/pyexec: static, the same bytes from the same commit anywhere.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

need=$(awk '$1 == "go" { print $2 }' go.mod)
command -v go >/dev/null || die "Go $need or newer is needed, and there is no go in PATH"
have=$(cd / && GOTOOLCHAIN=local go env GOVERSION)
if [ "$(printf '%s\n' "$need" "${have#go}" | sort -V | head -n 1)" != "$need" ]; then
	# An older go fetches the one that go.mod asks for, where it may.
	go version >/dev/null 2>&1 || die "Go $need or newer is needed; here is $have, and it could not fetch a newer one"
fi

version=${VERSION:-$(git describe --tags --always --dirty 2>/dev/null || echo unknown)}
# The binary carries the runner compiled, too, or each start would compile it.
# Python checks the source's hash, and compiles by itself where this is not its
# own version.
if [ -x "$pyexec_dir/venv/bin/python3" ]; then # else as it is here: the image's build brings it
	find runner/pyexec_runner -name '*.pyc' -delete
	env -u PYTHONDONTWRITEBYTECODE "$pyexec_dir/venv/bin/python3" -m compileall -q --invalidation-mode checked-hash runner/pyexec_runner
fi
CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=$version" -o bin/pyexec ./cmd/pyexec
