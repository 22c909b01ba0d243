#!/bin/sh
# SPDX-License-Identifier: MIT
# usage: fetch.sh [CACHE]
# Gets Debian 12's stock kernels, as packaged, into CACHE (build/kernels):
# CACHE/FLAVOUR/vmlinuz for cloud-amd64, amd64 and rt-amd64, each with its
# SHA-256, its version and the few modules that the demo initramfs takes beside
# it.  Nothing is installed.  What is in the cache and intact is used again,
# without the network; remove the folder to renew it.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cache=${1:-$here/../../build/kernels}
known=$here/kernels.sha256
# shellcheck source=guests/packages.sh
. "$here/../packages.sh"
# The power button, and where its event is read; virtio devices; a watchdog.
modules="drivers/acpi/button.ko drivers/input/evdev.ko
	drivers/virtio/virtio.ko drivers/virtio/virtio_ring.ko
	drivers/virtio/virtio_pci_legacy_dev.ko
	drivers/virtio/virtio_pci_modern_dev.ko drivers/virtio/virtio_pci.ko
	drivers/char/hw_random/virtio-rng.ko drivers/block/virtio_blk.ko
	net/core/failover.ko drivers/net/net_failover.ko
	drivers/net/virtio_net.ko drivers/char/virtio_console.ko
	drivers/virtio/virtio_balloon.ko net/vmw_vsock/vsock.ko
	net/vmw_vsock/vmw_vsock_virtio_transport_common.ko
	net/vmw_vsock/vmw_vsock_virtio_transport.ko
	drivers/watchdog/watchdog.ko drivers/watchdog/wdat_wdt.ko"

# The image that the meta package of flavour $1 depends on.
image_of() {
	field "linux-image-$1" Depends |
		grep -o "linux-image-[0-9][^ ]*-$1" | head -n 1
}

intact() {
	for module in $modules; do
		test -f "$1"/modules/*/"${module##*/}" || return 1
	done
	test -f "$1/vmlinuz" && test -f "$1/version" &&
		(cd "$1" && sha256sum --quiet --status -c SHA256)
}

fetch() {
	folder=$cache/$1
	if intact "$folder"; then
		check_known "$folder/vmlinuz" "$(cat "$folder/version")" \
			"$known"
		echo "fetch.sh: $(cat "$folder/version") is there"
		return
	fi
	know_packages linux-image-amd64
	package=$(image_of "$1")
	test -n "$package" || die "no kernel package of flavour $1"

	rm -rf "$folder" "$folder.tmp"
	mkdir -p "$folder.tmp"
	download "$package" "$folder.tmp"
	unpack "$folder.tmp"/*.deb "$folder.tmp" "${package#linux-image-}"
	echo "$package=$(field "$package" Version)" > "$folder.tmp/version"
	check_known "$folder.tmp/vmlinuz" "$(cat "$folder.tmp/version")" \
		"$known"
	mv "$folder.tmp" "$folder"
}

# Takes the kernel of release $3 and its modules out of the package $1 into $2.
unpack() {
	from=lib/modules/$3/kernel
	for module in $modules; do
		echo "./$from/$module"
	done > "$2/files"
	echo "./boot/vmlinuz-$3" >> "$2/files"
	dpkg-deb --fsys-tarfile "$1" | tar -x -C "$2" -T "$2/files"
	mv "$2/boot/vmlinuz-$3" "$2/vmlinuz"
	mkdir -p "$2/modules/$3"
	for module in $modules; do
		mv "$2/$from/$module" "$2/modules/$3/"
	done
	(cd "$2" && rm -rf boot lib files)

	want=$(dpkg-deb -I "$1" md5sums | sed -n "s, *boot/vmlinuz-$3\$,,p")
	got=$(md5sum "$2/vmlinuz" | cut -d ' ' -f 1)
	test "$want" = "$got" || die "vmlinuz-$3 is not as its package says"
	(cd "$2" && find vmlinuz modules -type f -exec sha256sum {} + \
		> SHA256)
}

mkdir -p "$cache"
fetch cloud-amd64
fetch amd64
fetch rt-amd64
