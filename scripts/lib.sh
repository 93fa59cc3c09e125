# shellcheck shell=bash
# What the scripts share. Source it; it only defines things.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
# Where setup installs, and where the server looks.
# shellcheck disable=SC2034 # used by those that source this file
pyexec_dir=${SETUP_DIR:-$root/.pyexec}

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() {
	say "$@"
	exit 1
}

# apt_install PACKAGE...: installs with apt-get, through sudo when not root.
# On failure it says what to do by hand and returns 1. What apt-get prints
# goes to $log.
apt_install() {
	local -a as_root=()
	local by_hand="install it by hand: apt-get install $*"
	if ! command -v apt-get >/dev/null; then
		say "needs $*, and there is no apt-get here: install it with this system's package manager"
		return 1
	fi
	if [ "$(id -u)" -ne 0 ]; then
		if ! command -v sudo >/dev/null; then
			say "needs $*, but this is not root and there is no sudo; $by_hand"
			return 1
		fi
		as_root=(sudo)
		# Nobody is there to type a password: ask for none.
		[ -t 0 ] || as_root+=(-n)
		if ! "${as_root[@]}" true; then
			say "needs $*, but sudo refused; $by_hand"
			return 1
		fi
	fi
	say "installing $* with apt-get"
	local -a apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300)
	local log=${log:-/dev/null}
	# The lists may be missing or too old to name a file that still exists.
	"${apt[@]}" install -y --no-install-recommends "$@" </dev/null >>"$log" 2>&1 && return
	"${apt[@]}" update </dev/null >>"$log" 2>&1 || true
	"${apt[@]}" install -y --no-install-recommends "$@" </dev/null >>"$log" 2>&1 && return
	say "apt-get could not install $*:"
	tail -n 5 "$log" >&2
	return 1
}

# web_install: what web/package-lock.json lists, into web/node_modules, unless
# it is there. No package's install script runs.
web_install() {
	local stamp
	command -v npm >/dev/null || { say "needs Node with npm"; return 1; }
	stamp=$(sha256sum "$root/web/package-lock.json" | cut -c1-32)
	[ "$(cat "$root/web/node_modules/.stamp" 2>/dev/null)" != "$stamp" ] || return 0
	say "installing the packages of web/package-lock.json"
	(cd "$root/web" && npm ci --ignore-scripts --no-audit --no-fund >"${log:-/dev/null}" 2>&1) || return 1
	echo "$stamp" >"$root/web/node_modules/.stamp"
}
