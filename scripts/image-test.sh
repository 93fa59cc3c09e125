#!/usr/bin/env bash
# Builds the image and tests it in each environment that can be had: plain,
# hardened, with our seccomp profile, gVisor. As root it starts a dockerd of its
# own, and leaves nothing of it behind; as somebody else it uses the one that
# is there.
#   scripts/image-test.sh          everything
#   scripts/image-test.sh --fast   what CI runs: no gVisor, no second corpus
# --json prints the events of go test. More arguments go to the test, as
# -modes plain,full or -report docs/deployment.md.
# $IMAGE names an image to test instead of building one.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=scripts/docker.sh
. "$root/scripts/docker.sh"
cd "$root"

fast=false json=()
while true; do
	case ${1:-} in
	--fast) fast=true ;;
	--json) json=(-json) ;;
	*) break ;;
	esac
	shift
done
missing=()
command -v docker >/dev/null && { [ "$(id -u)" -ne 0 ] || command -v dockerd >/dev/null; } || missing+=(docker.io)
command -v debootstrap >/dev/null || missing+=(debootstrap)
command -v ip >/dev/null || missing+=(iproute2)
command -v curl >/dev/null || missing+=(curl)
[ ${#missing[@]} -eq 0 ] || apt_install "${missing[@]}" || die "cannot test the image without ${missing[*]}"

runsc=''
if ! $fast; then
	runsc=$(get_runsc) || die "gVisor's runsc could not be built"
fi
build=(--network=host) # the daemon of our own gives its bridge no way out
if [ "$(id -u)" -eq 0 ]; then
	dir=$(mktemp -d "${TMPDIR:-/tmp}/pyexec-image-test.XXXXXX")
	trap 'stop_dockerd "$dir"' EXIT
	start_dockerd "$dir" "$runsc"
fi
modes=(plain hardened masked-proc full)
if $fast; then
	modes=(plain full)
	set -- -fast "$@"
elif docker info -f '{{json .Runtimes}}' | grep -q '"runsc"'; then
	modes+=(gvisor)
else
	die "this Docker has no runtime runsc: register $runsc, or run this as root"
fi
if [ -z "${IMAGE:-}" ]; then
	IMAGE=python-code-executor
	need_bases
	say "building the image"
	build_image "$IMAGE" "${build[@]}" >"${dir:-/tmp}/build.log" 2>&1 || { tail -n 30 "${dir:-/tmp}/build.log" >&2 && die "the image could not be built"; }
fi
say "testing ${modes[*]}"
go vet -tags image ./e2e/image
go test "${json[@]}" -tags image -count=1 -timeout 60m ./e2e/image -args -image "$IMAGE" -modes "$(IFS=, && echo "${modes[*]}")" "$@"
