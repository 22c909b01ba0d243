#!/bin/sh
# SPDX-License-Identifier: MIT
# usage: make_systemd_root.sh OUT [CACHE]
# Makes an initramfs that is a small Debian 12 with systemd, udev and logind, as
# its packages set them up, and with the modules of the kernels that fetch.sh
# put into CACHE (build/kernels): what a stock guest does with its power button
# shows here.  Takes a minute; OUT is left as it is while these inputs are.
set -eu
out=$1
here=$(cd "$(dirname "$0")" && pwd)
cache=${2:-$here/../../build/kernels}

command -v mmdebstrap > /dev/null || {
	echo "make_systemd_root.sh: no mmdebstrap; install mmdebstrap" >&2
	exit 1
}
made_of=$(cat "$0" "$cache"/*/SHA256 | sha256sum)
if test -s "$out" && test "$made_of" = "$(cat "$out.made-of" 2> /dev/null)"
then
	exit 0
fi

set -- --quiet --variant=essential --format=null \
	--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr \
	--include=usr-is-merged,systemd-sysv,udev,dbus,kmod,libpam-systemd
for left_out in doc man locale i18n; do
	set -- "$@" "--dpkgopt=path-exclude=/usr/share/$left_out/*"
done
for release in "$cache"/*/modules/*; do
	set -- "$@" "--customize-hook=copy-in '$release' /lib/modules" \
		"--customize-hook=chroot \"\$1\" depmod $(basename "$release") 2> /dev/null"
done
# The kernel starts /init of an initramfs.  The password's place is empty: the
# console's login lets root in.
# shellcheck disable=SC2016 # the hooks' shell expands it
mmdebstrap "$@" \
	--essential-hook='mkdir -p "$1/lib/modules"' \
	--customize-hook='ln -s sbin/init "$1/init"' \
	--customize-hook='sed -i "s/^root:[^:]*/root:/" "$1/etc/shadow"' \
	--customize-hook='rm -rf "$1"/var/cache/apt/* "$1"/var/lib/apt/lists/*' \
	--customize-hook='rm -f "$1"/usr/lib/udev/hwdb.bin' \
	--customize-hook='(cd "$1" && find . -xdev -print0 | LC_ALL=C sort -z |
		cpio --null --quiet -H newc -o) | zstd -q -6 -T0 -o '"'$out.tmp'"' -f' \
	bookworm -
mv "$out.tmp" "$out"
echo "$made_of" > "$out.made-of"
