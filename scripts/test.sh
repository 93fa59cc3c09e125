#!/usr/bin/env bash
# Runs all tests, of Go and of Python, and the checks of the sources. Goes on
# after a failure, so that one run shows everything; fails at the end.
# Arguments go to `go test`: scripts/test.sh -run Cases ./e2e/...
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT

# check NAME COMMAND...: fails when the command does.
check() {
	say "$1"
	if ! "${@:2}" >"$results/out" 2>&1; then
		cat "$results/out" >&2
		echo "$1" >>"$results/failed"
	fi
}
formatted() {
	local files
	files=$(gofmt -l .)
	[ -z "$files" ] || { printf 'gofmt would change:\n%s\n' "$files" && return 1; }
}

if [ ! -d "${SHARED_DIR:-../shared}/cases" ]; then
	[ "${CI:-}" != true ] || die "no ${SHARED_DIR:-../shared}/cases, which the tests read (SHARED_DIR names another folder)"
	say "no ${SHARED_DIR:-../shared}: the tests that read it are skipped (SHARED_DIR names another folder)"
fi

check gofmt formatted
check 'go vet' go vet ./...
if command -v shellcheck >/dev/null || { [ "${CI:-}" = true ] && apt_install shellcheck; }; then
	check shellcheck shellcheck -x scripts/*.sh deploy.sh .ci/run
else
	say "no shellcheck here: the scripts are not checked"
fi

# The shells that completion is tested in.
if [ "${CI:-}" = true ] && ! { command -v zsh && command -v fish; } >/dev/null; then
	apt_install zsh fish || say "no zsh and fish: their completion is not tested"
fi

# What the playground is built with and tested in.
if [ "${CI:-}" = true ]; then
	command -v npm >/dev/null || apt_install nodejs npm
	command -v chromium >/dev/null || apt_install chromium
fi
if command -v npm >/dev/null; then
	check 'the playground is what web/ makes' scripts/web.sh --check
else
	say "no npm here: whether the playground is what web/ makes is not checked"
fi
command -v chromium >/dev/null || say "no chromium here: the playground is not tested"

[ $# -gt 0 ] || check 'deployment files' go -C deploy/check test -count=1 ./...
# The examples of the documentation call it.
command -v curl >/dev/null || apt_install curl || say "no curl here: the examples of the documentation will fail"

say "python -m unittest"
PYTHONPATH=runner "$pyexec_dir/venv/bin/python" -W error::SyntaxWarning -m unittest discover -s runner/tests \
	>"$results/unittest" 2>&1 || true
# The last line says how it ended; a failure's words are all shown.
tail -n 1 "$results/unittest" | grep -q '^OK' || cat "$results/unittest" >&2

scripts/prometheus.sh || say "no promtool here: what is in deploy/monitoring is not checked"

scripts/schemathesis.sh || say "no schemathesis here: the API is not fuzzed"

race=()
if command -v "$(go env CC)" >/dev/null; then
	race=(-race)
	export CGO_ENABLED=1
else
	say "no C compiler here: go test runs without -race"
fi
export TEST_BINARY=$root/bin/pyexec
gotest() { go test -json -count=1 -timeout 20m "${race[@]}" "$@"; }
say "go test ${race[*]} ${*:-./...}"
{
	if [ $# -gt 0 ]; then
		gotest "$@"
	else
		# The mutations last and alone: they want the corpus' listeners, and what
		# their attacks reach takes the processors.
		mapfile -t packages < <(go list ./... | grep -v '/e2e/mutations$')
		gotest "${packages[@]}" || true # the report counts what failed
		gotest ./e2e/mutations || true
		# Last and alone, as it builds and attacks a container.
		if [ "${CI:-}" = true ]; then
			scripts/image-test.sh --fast --json || echo 'scripts/image-test.sh --fast' >>"$results/failed"
		else
			say "not in CI: the Docker image is not tested here, make image-test does"
		fi
	fi
} | "$pyexec_dir/venv/bin/python" scripts/report.py "$results"
