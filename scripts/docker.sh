# shellcheck shell=bash
# shellcheck disable=SC2154 # root is of lib.sh
# How the image is built. Source it after lib.sh; it only defines things.

# build_image TAG [OPTION...]: builds the Dockerfile.
build_image() {
	local tag=$1
	shift
	local -a args=(
		--build-arg "VERSION=$(git describe --tags --always --dirty 2>/dev/null || echo unknown)"
		--build-arg "REVISION=$(git rev-parse HEAD 2>/dev/null || echo unknown)"
	)
	# What this machine's administrator trusts, as behind a proxy that opens
	# TLS, the build trusts as well. The image does not.
	local ca
	ca=$(cat /usr/local/share/ca-certificates/*.crt 2>/dev/null || true)
	[ -z "$ca" ] || args+=(--build-arg "EXTRA_CA=$ca")
	docker build -t "$tag" "${args[@]}" "$@" "$root"
}
