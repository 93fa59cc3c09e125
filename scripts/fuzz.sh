#!/usr/bin/env bash
# Fuzzes each Fuzz* target for $FUZZTIME, a minute unless told. Inputs that
# fail are written to the package's testdata/fuzz/, to be committed with the
# fix: go test runs them from then on. Arguments are packages.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

[ $# -gt 0 ] || set -- ./...
failed=()
while read -r directory target; do
	say "$directory $target for ${FUZZTIME:-60s}"
	go test "./$directory" -run '^$' -fuzz "^$target\$" -fuzztime "${FUZZTIME:-60s}" || failed+=("$directory $target")
done < <(go list -f '{{.Dir}}' "$@" | while read -r dir; do
	grep -Eho '^func Fuzz[A-Za-z0-9_]*' "$dir"/*_test.go 2>/dev/null | sed "s#^func #${dir#"$root"/} #" || true
done)
[ ${#failed[@]} -eq 0 ] || die "failed: ${failed[*]}"
