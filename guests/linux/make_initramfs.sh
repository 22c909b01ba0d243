#!/bin/sh
# SPDX-License-Identifier: MIT
# usage: make_initramfs.sh OUT [CACHE]
# Makes the demo guest's initramfs: busybox-static, guests/linux/init with its
# programs, and the modules of the kernels that fetch.sh put into CACHE
# (build/kernels).
# The same inputs give the same bytes: sorted names, no times, no owners.
set -eu
out=$1
here=$(cd "$(dirname "$0")" && pwd)
cache=${2:-$here/../../build/kernels}
busybox=${BUSYBOX:-/bin/busybox}
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

if ! test -x "$busybox"; then
	echo "make_initramfs.sh: no $busybox; install busybox-static" >&2
	exit 1
fi
umask 022
mkdir -p "$root/bin" "$root/sbin" "$root/dev" "$root/proc" "$root/sys" \
	"$root/tmp" "$root/root" "$root/etc" "$root/lib/modules"
install -m 755 "$busybox" "$root/bin/busybox"
install -m 755 "$here/init" "$root/init"
for program in selftest network processors soak suspend files; do
	install -m 755 "$here/$program" "$root/bin/mullion-$program"
done
install -m 644 "$here/report.sh" "$root/bin/report.sh"
# For "rdinit=/bin/init": busybox's own, whose poweroff and reboot stop
# everything first.
install -m 755 "$here/start.sh" "$root/etc/start.sh"
printf '%s\n' '::sysinit:/etc/start.sh' '::respawn:-/bin/sh' \
	> "$root/etc/inittab"
for program in poll_console keep_vectors shared_memory kexec vsock; do
	${CC:-gcc} -static -Os -s -o "$root/bin/$program" "$here/$program.c"
done
for applet in $("$busybox" --list); do
	test "$applet" = busybox || ln -s busybox "$root/bin/$applet"
done
for release in "$cache"/*/modules/*; do
	test ! -d "$release" || cp -r "$release" "$root/lib/modules/"
done

find "$root" -exec touch -h -d @0 {} +
(cd "$root" && find . -print0 | LC_ALL=C sort -z |
	cpio --null --quiet --reproducible -R 0:0 -H newc -o) |
	gzip -9n > "$out.tmp"
mv "$out.tmp" "$out"
