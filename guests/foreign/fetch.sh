#!/bin/sh
# SPDX-License-Identifier: MIT
# usage: fetch.sh [CACHE]
# Gets kernels that start by Multiboot out of Debian 12's packages (3 MB) into
# CACHE/foreign (build/kernels/foreign), each as NAME.multiboot: Xen, GNU Mach
# and the game of GRUB.  Nothing is installed.  What is in the cache and intact
# is used again, without the network; remove the folder to renew it.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cache=${1:-$here/../../build/kernels}
folder=$cache/foreign
known=$here/kernels.sha256
# shellcheck source=guests/packages.sh
. "$here/../packages.sh"

# Package and the kernel in it, by the name that it gets here.
xen="xen-hypervisor-4.17-amd64"
xen_file=boot/xen-4.17-amd64.gz
gnumach="gnumach-image-1.8-486"
gnumach_file=boot/gnumach-1.8-486.gz
invaders="grub-invaders"
invaders_file=boot/invaders.exec

intact() {
	for name in xen gnumach invaders; do
		test -f "$folder/$name.multiboot" || return 1
	done
	(cd "$folder" && sha256sum --quiet --status -c SHA256)
}

# Takes $3 out of package $2 as $1.multiboot.
fetch() {
	know_packages "$2"
	mkdir "$folder.tmp/$1"
	download "$2" "$folder.tmp/$1"
	dpkg-deb --fsys-tarfile "$folder.tmp/$1"/*.deb |
		tar -x -O "./$3" > "$folder.tmp/$1/kernel"
	case $3 in
	*.gz) gzip -d < "$folder.tmp/$1/kernel" ;;
	*) cat "$folder.tmp/$1/kernel" ;;
	esac > "$folder.tmp/$1.multiboot"
	check_known "$folder.tmp/$1.multiboot" "$2=$(field "$2" Version)" \
		"$known"
	rm -r "$folder.tmp/${1:?}"
}

if intact; then
	echo "fetch.sh: Xen, GNU Mach and GRUB's game are there"
	exit 0
fi
rm -rf "$folder" "$folder.tmp"
mkdir -p "$folder.tmp"
fetch xen "$xen" "$xen_file"
fetch gnumach "$gnumach" "$gnumach_file"
fetch invaders "$invaders" "$invaders_file"
(cd "$folder.tmp" && sha256sum ./*.multiboot > SHA256)
mv "$folder.tmp" "$folder"
