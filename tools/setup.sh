#!/bin/sh
# SPDX-License-Identifier: MIT
# usage: tools/setup.sh
# Installs the Debian packages that the build and the tests need and that are
# missing; does nothing when all are there.
set -eu

build="gcc make binutils gnu-efi libyaml-dev libssl-dev zlib1g-dev
	libncurses-dev libbearssl-dev liblz4-dev acpica-tools console-setup-linux
	python3 mtools gdisk dosfstools busybox-static cpio zstd"
checks="libcmocka-dev clang libclang-rt-14-dev cppcheck clang-format
	shellcheck gdb pkgconf mmdebstrap zsh gnuplot-nox
	grub-common grub-pc-bin grub-efi-amd64-bin"
emulators="qemu-system-x86 ovmf seabios u-boot-qemu memtest86+ bochs bochs-term bochs-x bochsbios vgabios xvfb"

missing=
for package in $build $checks $emulators; do
	# shellcheck disable=SC2016 # the braces are dpkg-query's
	state=$(dpkg-query -W -f '${db:Status-Status}' "$package" \
		2> /dev/null) || state=none
	test "$state" = installed || missing="$missing $package"
done

if test -z "$missing"; then
	echo "setup.sh: all packages are there; next: make"
	exit 0
fi
if test "$(id -u)" != 0; then
	echo "setup.sh: missing:$missing" >&2
	echo "Run as root:" >&2
	echo "apt-get update &&" \
		"apt-get install --no-install-recommends -y$missing" >&2
	exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
# shellcheck disable=SC2086 # a list of names
apt-get -qq install --no-install-recommends -y $missing
echo "setup.sh: installed$missing; next: make"
