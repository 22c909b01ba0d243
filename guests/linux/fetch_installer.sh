#!/bin/sh
# SPDX-License-Identifier: MIT
# usage: fetch_installer.sh [CACHE]
# Gets the installer of Debian 12 that boots from a network, as packaged
# (60 MB), into CACHE/installer (build/kernels/installer): vmlinuz and initrd.gz.
# Nothing is installed.  What is in the cache and intact is used again.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
folder=${1:-$here/../../build/kernels}/installer
# shellcheck source=guests/packages.sh
. "$here/../packages.sh"
package=debian-installer-12-netboot-amd64
from=usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64

if (cd "$folder" 2> /dev/null && sha256sum --quiet --status -c SHA256); then
	exit 0
fi
know_packages "$package"
rm -rf "$folder" "$folder.tmp"
mkdir -p "$folder.tmp/tree"
download "$package" "$folder.tmp"
dpkg-deb --fsys-tarfile "$folder.tmp"/*.deb |
	tar -x -C "$folder.tmp/tree" "./$from/linux" "./$from/initrd.gz"
mv "$folder.tmp/tree/$from/linux" "$folder.tmp/vmlinuz"
mv "$folder.tmp/tree/$from/initrd.gz" "$folder.tmp/"
rm -r "$folder.tmp/tree" "$folder.tmp"/*.deb
check_known "$folder.tmp/vmlinuz" "$package=$(field "$package" Version)" \
	"$here/kernels.sha256"
(cd "$folder.tmp" && sha256sum vmlinuz initrd.gz > SHA256)
mv "$folder.tmp" "$folder"
