#!/bin/sh
# SPDX-License-Identifier: MIT
# usage: make_disk_root.sh DIR
# Makes DIR/disk.img, a disk of 1 GiB with the GPT partition "root": a Debian 12
# as its packages set it up, with systemd, a cloud kernel, its initramfs, network
# by DHCP and qemu-guest-agent; and beside it DIR/vmlinuz and DIR/initrd.img, out
# of its /boot.  Takes some minutes; DIR is left as it is while this script and
# the kernel's version are.
set -eu
out=$1
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=guests/packages.sh
. "$here/../packages.sh"

for program in mmdebstrap:mmdebstrap mke2fs:e2fsprogs sgdisk:gdisk; do
	PATH=$PATH:/usr/sbin:/sbin command -v "${program%:*}" > /dev/null ||
		die "no ${program%:*}; install ${program#*:}"
done
PATH=$PATH:/usr/sbin:/sbin
know_packages linux-image-cloud-amd64
version=$(field linux-image-cloud-amd64 Version)
made_of=$({ cat "$0"; echo "$version"; } | sha256sum)
if test -s "$out/disk.img" && test "$made_of" = "$(cat "$out/made-of" 2> /dev/null)"
then
	exit 0
fi
rm -rf "$out"
mkdir -p "$out"

set -- --quiet --variant=essential --format=directory \
	--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr \
	--include=usr-is-merged,linux-image-cloud-amd64,initramfs-tools,zstd \
	--include=systemd-sysv,udev,dbus,kmod,libpam-systemd,login,e2fsprogs \
	--include=iproute2,iputils-ping,wget,qemu-guest-agent
for left_out in doc man locale i18n; do
	set -- "$@" "--dpkgopt=path-exclude=/usr/share/$left_out/*"
done
# What an installer asks its user for: the names of disk and machine, a network.
# The password's place is empty: the console's login lets root in.
# shellcheck disable=SC2016 # the hooks' shell expands it
mmdebstrap "$@" \
	--customize-hook='sed -i "s/^root:[^:]*/root:/" "$1/etc/shadow"' \
	--customize-hook='echo debian > "$1/etc/hostname"' \
	--customize-hook='echo "/dev/vda / ext4 errors=remount-ro 0 1" > "$1/etc/fstab"' \
	--customize-hook='printf "[Match]\nName=en* eth*\n[Network]\nDHCP=yes\n" > "$1/etc/systemd/network/wired.network"' \
	--customize-hook='chroot "$1" systemctl --quiet enable systemd-networkd systemd-networkd-wait-online' \
	--customize-hook='rm -rf "$1"/var/cache/apt/* "$1"/var/lib/apt/lists/*' \
	bookworm "$out/tree"

cp "$out"/tree/boot/vmlinuz-* "$out/vmlinuz"
release=$(basename "$out"/tree/boot/vmlinuz-*)
check_known "$out/vmlinuz" "linux-image-${release#vmlinuz-}=$version" \
	"$here/kernels.sha256"
cp "$out"/tree/boot/initrd.img-* "$out/initrd.img"
truncate -s 1G "$out/disk.img"
sgdisk --clear --new 1:2048:0 --typecode 1:8304 --change-name 1:root \
	"$out/disk.img" > /dev/null
last=$(sgdisk --info 1 "$out/disk.img" | sed -n 's/^Last sector: \([0-9]*\) .*/\1/p')
mke2fs -q -t ext4 -L root -E offset=$((2048 * 512)) -d "$out/tree" \
	"$out/disk.img" "$(((last + 1 - 2048) / 2))k"
rm -rf "$out/tree"
echo "$made_of" > "$out/made-of"
