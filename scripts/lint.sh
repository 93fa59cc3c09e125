#!/usr/bin/env bash
# Runs the pinned golangci-lint, which it builds into .pyexec/tools the first
# time: some minutes. .golangci.yml says what it looks at.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

version=v2.15.0
linter=$pyexec_dir/tools/golangci-lint-$version

if [ ! -x "$linter" ]; then
	say "building golangci-lint $version, which takes some minutes"
	mkdir -p "$pyexec_dir/tools"
	built=$(mktemp -d "$pyexec_dir/tools/build.XXXXXX")
	trap 'rm -rf "$built"' EXIT
	CGO_ENABLED=0 GOBIN=$built go install "github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$version"
	mv "$built/golangci-lint" "$linter"
	rm -rf "$built"
fi
cd "$root"
exec "$linter" "$@"
