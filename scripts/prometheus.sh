#!/usr/bin/env bash
# Puts Debian's prometheus and promtool into .pyexec/tools/prometheus, unless
# they are there. The package is unpacked and not installed: its daemon would
# start, and take the port.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

tools=$pyexec_dir/tools/prometheus
[ ! -x "$tools/promtool" ] || exit 0
command -v apt-get >/dev/null || die "promtool is needed, and there is no apt-get here: install Prometheus by hand"
mkdir -p "$pyexec_dir/tools"
work=$(mktemp -d "$pyexec_dir/tools/prometheus.XXXXXX")
trap 'rm -rf "$work"' EXIT
say "fetching prometheus and promtool with apt-get"
cd "$work"
fetch() { apt-get -qq -o APT::Sandbox::User=root download prometheus >"$work/log" 2>&1; }
if ! fetch; then
	as_root=()
	[ "$(id -u)" -eq 0 ] || as_root=(sudo -n)
	"${as_root[@]}" apt-get -qq update >"$work/log" 2>&1 || true
	fetch || { cat "$work/log" >&2 && die "apt-get could not fetch prometheus"; }
fi
dpkg-deb -x prometheus_*.deb unpacked
mkdir -p bin
mv unpacked/usr/bin/prometheus unpacked/usr/bin/promtool bin/
rm -rf "$tools"
mv -T bin "$tools"
