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

# The folder of what takes long to make and may be kept: gVisor, stand-ins for
# the bases.
docker_cache=${XDG_CACHE_HOME:-$HOME/.cache}/pyexec-image-test

gvisor=v0.0.0-20260905035102-160fafc42237

# get_runsc: builds gVisor's runtime once, in some minutes.
get_runsc() {
	local runsc=$docker_cache/runsc-$gvisor
	if [ ! -x "$runsc" ]; then
		say "building gVisor's runsc $gvisor, which takes some minutes"
		mkdir -p "$docker_cache/bin"
		CGO_ENABLED=0 GOBIN=$docker_cache/bin go install "gvisor.dev/gvisor/runsc@$gvisor" || return 1
		mv "$docker_cache/bin/runsc" "$runsc"
	fi
	echo "$runsc"
}

# start_dockerd DIR RUNSC: a daemon of our own with everything below DIR,
# which touches neither the machine's firewall nor its bridges. RUNSC may be
# empty. Sets DOCKER_HOST.
start_dockerd() {
	local dir=$1 runsc=$2 runtimes='' net='' n
	for n in 172.29.253 192.168.253 10.253.253; do
		ip -4 route show table all | cat - /etc/resolv.conf | grep -qF "$n." || { net=$n && break; }
	done
	[ -n "$net" ] || die "no free network for a bridge"
	bridge=pyx$$
	bridge=${bridge:0:15}
	ip link add name "$bridge" type bridge
	ip address add "$net.1/24" dev "$bridge"
	ip link set "$bridge" up
	[ -z "$runsc" ] || runtimes='"runsc": {"path": "'$runsc'"}'
	echo "{\"runtimes\": {$runtimes}}" >"$dir/daemon.json"
	dockerd --config-file "$dir/daemon.json" --data-root "$dir/data" --exec-root "$dir/exec" --pidfile "$dir/pid" \
		--host "unix://$dir/docker.sock" --bridge "$bridge" --iptables=false --ip6tables=false --ip-masq=false --ip-forward=false \
		>"$dir/dockerd.log" 2>&1 &
	dockerd=$!
	export DOCKER_HOST=unix://$dir/docker.sock
	for ((n = 0; n < 300; n++)); do
		docker version >/dev/null 2>&1 && return
		kill -0 "$dockerd" 2>/dev/null || break
		read -rt 0.2 <> <(:) || true
	done
	tail -n 20 "$dir/dockerd.log" >&2
	die "dockerd did not start"
}

# stop_dockerd DIR: and everything that it made.
stop_dockerd() {
	local at
	if [ -n "${dockerd:-}" ]; then
		kill "$dockerd" 2>/dev/null || true
		wait "$dockerd" 2>/dev/null || true
	fi
	[ -z "${bridge:-}" ] || ip link delete "$bridge" 2>/dev/null || true
	awk -v dir="$1/" 'index($5, dir) == 1 { print $5 }' /proc/self/mountinfo | sort -r | while read -r at; do umount -l "$at"; done
	rm -rf --one-file-system "$1"
}

# need_bases: BASE and GO_BASE of the Dockerfile, from here, from a registry,
# or made here: Debian by debootstrap, Go as it is on this machine.
need_bases() {
	local base go_base
	base=$(sed -n 's/^ARG BASE=//p' "$root/Dockerfile")
	go_base=$(sed -n 's/^ARG GO_BASE=//p' "$root/Dockerfile")
	has_image "$base" || make_base "$base"
	has_image "$go_base" || make_go_base "$base" "$go_base"
}

has_image() {
	docker image inspect "$1" >/dev/null 2>&1 || timeout 120 docker pull -q "$1" >/dev/null 2>&1
}

make_base() {
	local tar=$docker_cache/debian.tar tree
	if [ -z "$(find "$tar" -mtime -7 2>/dev/null)" ]; then
		say "no $1 here, and none can be pulled: making one with debootstrap"
		tree=$(mktemp -d)
		mkdir -p "$docker_cache"
		debootstrap --variant=minbase bookworm "$tree" >"$tree.log" 2>&1 || { tail -n 5 "$tree.log" >&2 && die "debootstrap failed"; }
		rm -rf "$tree"/var/cache/apt/archives/* "$tree"/var/lib/apt/lists/*
		# This machine's list has the security updates.
		if grep -q '^VERSION_CODENAME=bookworm$' /etc/os-release && [ -e /etc/apt/sources.list.d/debian.sources ]; then
			rm -f "$tree/etc/apt/sources.list"
			cp /etc/apt/sources.list.d/debian.sources "$tree/etc/apt/sources.list.d/"
		fi
		tar -C "$tree" -cf "$tar.new" .
		mv "$tar.new" "$tar"
		rm -rf --one-file-system "$tree" "$tree.log"
	fi
	docker import "$tar" "$1" >/dev/null
}

make_go_base() {
	local context
	say "no $2 here, and none can be pulled: taking this machine's $(go env GOVERSION)"
	context=$(mktemp -d)
	printf 'FROM %s\nENV PATH=/usr/local/go/bin:/usr/sbin:/usr/bin:/sbin:/bin GOTOOLCHAIN=local\nRUN mkdir -p /etc/ssl/certs\nCOPY . /usr/local/go\n' "$1" >"$context/Dockerfile"
	tar -C "$context" -cf "$context/context.tar" Dockerfile
	tar -C "$(go env GOROOT)" --exclude=./test --exclude=./doc --exclude=./api --exclude='./pkg/*_race*' -rf "$context/context.tar" .
	docker build -q -t "$2" - <"$context/context.tar" >/dev/null
	rm -rf "$context"
}
