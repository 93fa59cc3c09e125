#!/usr/bin/env bash
# Sends a server what schemathesis makes of its OpenAPI document, and all
# malformed requests of the shared table, for $FUZZTIME, two minutes unless
# told; says what it found and what the server's memory did.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

scripts/schemathesis.sh
export TEST_BINARY=$root/bin/pyexec
go test -count=1 -timeout 0 -v -run 'TestFuzz$' ./e2e/apifuzz -args -for="${FUZZTIME:-2m}"
