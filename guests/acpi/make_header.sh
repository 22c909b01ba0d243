#!/bin/sh
# SPDX-License-Identifier: MIT
# usage: make_header.sh OUTDIR
# Compiles the guests' ACPI tables and writes OUTDIR/guest_acpi.h with them
# as C arrays.
set -eu
out=$1
here=$(dirname "$0")
include=$here/../../include

# Warnings are errors: a table that iasl doubts is not shipped.
# compile SOURCE NAME [FLAG]
compile() {
	${CC:-gcc} -E -P -undef -x c -I"$include" ${3:+"$3"} "$here/$1.asl" \
		-o "$out/guest_$2.asl"
	set -- "$2"
	if ! iasl -we -p "$out/guest_$1" "$out/guest_$1.asl" \
		> "$out/guest_$1.log" 2>&1; then
		cat "$out/guest_$1.log" >&2
		exit 1
	fi
}

array() {
	echo "static const uint8_t guest_$1[] = {"
	od -An -v -tx1 "$out/guest_$1.aml" |
		sed 's/^ */\t/; s/\([0-9a-f][0-9a-f]\)/0x\1,/g'
	echo "};"
}

mkdir -p "$out"
compile dsdt dsdt
compile fadt fadt
compile dsdt dsdt_pc -DMULL_PC
compile fadt fadt_pc -DMULL_PC
{
	echo "/* Made by guests/acpi/make_header.sh; do not edit. */"
	echo "#ifndef GUEST_ACPI_H"
	echo "#define GUEST_ACPI_H"
	echo "#include <stdint.h>"
	array dsdt
	array fadt
	array dsdt_pc
	array fadt_pc
	echo "#endif"
} > "$out/guest_acpi.h.tmp"
mv "$out/guest_acpi.h.tmp" "$out/guest_acpi.h"
