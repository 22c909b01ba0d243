#!/bin/sh
# SPDX-License-Identifier: MIT
# usage: make_agent_root.sh OUT DEMO
# Makes an initramfs of DEMO, the demo guest's, and of Debian 12's
# qemu-guest-agent with its libraries.  OUT is left as it is while DEMO and this
# script are.
set -eu
out=$1
demo=$2
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

made_of=$(cat "$0" "$demo" | sha256sum)
if test -s "$out" && test "$made_of" = "$(cat "$out.made-of" 2> /dev/null)"
then
	exit 0
fi
command -v mmdebstrap > /dev/null || {
	echo "make_agent_root.sh: no mmdebstrap; install mmdebstrap" >&2
	exit 1
}
mmdebstrap --quiet --variant=extract --include=qemu-guest-agent,base-files \
	--format=directory bookworm "$root/all"

agent=usr/sbin/qemu-ga
loader=$root/all/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2
folders=$root/all/lib/x86_64-linux-gnu:$root/all/usr/lib/x86_64-linux-gnu
mkdir -p "$root/some/usr/sbin" "$root/some/lib64" \
	"$root/some/lib/x86_64-linux-gnu" "$root/some/etc"
cp "$root/all/$agent" "$root/some/$agent"
cp "$loader" "$root/some/lib64/"
cp "$root/all/usr/lib/os-release" "$root/some/etc/os-release"
"$loader" --library-path "$folders" --list "$root/all/$agent" |
	sed -n 's/.*=> \([^ ]*\) .*/\1/p' | while read -r library; do
	cp -L "$library" "$root/some/lib/x86_64-linux-gnu/"
done

# The kernel unpacks one archive behind the other.
{
	cat "$demo"
	(cd "$root/some" && find . -print0 | LC_ALL=C sort -z |
		cpio --null --quiet -R 0:0 -H newc -o) | gzip -9n
} > "$out.tmp"
mv "$out.tmp" "$out"
echo "$made_of" > "$out.made-of"
