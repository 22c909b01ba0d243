#!/bin/sh
# SPDX-License-Identifier: MIT
# usage: tools/gdb.sh BUILD MANIFEST [GDB-ARGUMENT...]
# Boots MANIFEST in QEMU, stopped before its first instruction, and starts
# gdb, which runs it to the kernel's first function.  The image is linked at a
# fixed address, so its symbols fit as they are.
set -eu
build=$1
manifest=$2
shift 2
folder=$(mktemp -d)
# Its own session: Ctrl-C is for gdb.
setsid "$build/mullctl" run --gdb --keep "$folder" --serial "$folder/log" \
	"$manifest" < /dev/null > "$folder/console" 2> "$folder/messages" &
mullctl=$!
trap 'kill $mullctl 2> /dev/null; rm -rf "$folder"' EXIT

while ! test -S "$folder/gdb"; do
	if ! kill -0 $mullctl 2> /dev/null; then
		cat "$folder/messages" >&2
		exit 1
	fi
	sleep 0.2
done
echo "The hypervisor's log: $folder/log; the guests' consoles:" \
	"$folder/console"
# hbreak: the code is not loaded yet.
gdb -q "$build/mullion.elf" -ex 'set confirm off' \
	-ex 'set architecture i386:x86-64' -ex "target remote $folder/gdb" \
	-ex 'hbreak kernel_main' -ex continue "$@"
