#!/usr/bin/env bash
# Runs hostile scripts through the real server.
#   scripts/hostile.sh DIR...   these folders, policy off and standard
#   scripts/hostile.sh --all    the whole matrix: $REPEAT (3) rounds of both
#                               corpora at each level that can be reproduced
#                               here, as root and as an ordinary user; policy
#                               off and on, and eight at a time, shuffled and
#                               alone, in turns
# More flags for the command in $HOSTILE_ARGS, as -v or -only REGEXP.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

[ -n "${1:-}" ] || die "usage: make hostile CORPUS=DIR"
export TEST_BINARY=$root/bin/pyexec
command=(go run ./e2e/corpus/cmd/hostile -slack 1s)
read -ra more <<<"${HOSTILE_ARGS:-}"
if [ "$1" != --all ]; then
	for dir in "$@"; do
		command+=(-dir "$dir")
	done
	exec "${command[@]}" -policy off,standard "${more[@]}"
fi
uids=$(id -u)
if [ "$uids" -eq 0 ]; then
	user=54321
	setpriv --reuid "$user" --clear-groups test -x "$TEST_BINARY" ||
		die "an ordinary user cannot reach $TEST_BINARY: the whole matrix needs a checkout outside of private folders such as /root"
	uids=0,$user
fi
exec "${command[@]}" -dir "${SHARED_DIR:-../shared}/hostile" -dir e2e/hostile -repeat "${REPEAT:-3}" -uid "$uids" \
	-force-level full,namespaces-masked-proc,namespaces-no-landlock,landlock \
	-policy off,standard -mode parallel,shuffled,alone -rotate "${more[@]}"
