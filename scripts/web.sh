#!/usr/bin/env bash
# Builds the playground from web/ and its lockfile into internal/playground/dist,
# which is committed: go build needs no Node.
#
#   scripts/web.sh           builds
#   scripts/web.sh --check   fails when what is committed is not what comes out
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

committed=$root/internal/playground/dist
built=$(mktemp -d)
trap 'rm -rf "$built"' EXIT

web_install
(cd "$root/web" && node build.mjs "$built")
if [ "${1:-}" = --check ]; then
	diff -rq "$committed" "$built" || die "internal/playground/dist is not what web/ makes: run scripts/web.sh and commit"
	exit
fi
rm -rf "$committed"
cp -r "$built" "$committed"
ls -l "$committed"
