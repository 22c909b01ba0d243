#!/bin/sh
# SPDX-License-Identifier: MIT
# usage: add_kernel.sh OUT INITRAMFS KERNEL
# Makes an initramfs of INITRAMFS that has KERNEL as /boot/vmlinuz and
# INITRAMFS itself as /boot/initrd: archives in a row are one.
set -eu
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
umask 022
mkdir "$root/boot"
cp "$2" "$root/boot/initrd"
cp "$3" "$root/boot/vmlinuz"
find "$root" -exec touch -h -d @0 {} +
# Its parts are compressed already.
(cd "$root" && printf 'boot\nboot/initrd\nboot/vmlinuz\n' |
	cpio --quiet --reproducible -R 0:0 -H newc -o | gzip -1n) |
	cat "$2" - > "$1.tmp"
mv "$1.tmp" "$1"
