#!/usr/bin/env bash
# Builds the image with the docker that is there, as $IMAGE or
# python-code-executor. Arguments go to `docker build`, as
#   scripts/image.sh --build-arg BASE=debian:bookworm-slim@sha256:...
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=scripts/docker.sh
. "$root/scripts/docker.sh"
cd "$root"

command -v docker >/dev/null || die "there is no docker here: install Docker 19.03 or newer, or docker.io"
said=$(docker version -f '{{.Server.Version}}' 2>&1) ||
	die "docker is here, but its daemon does not answer: ${said##*$'\n'} (start it, name another in DOCKER_HOST, or use make image-test, which starts its own)"
build_image "${IMAGE:-python-code-executor}" "$@"
