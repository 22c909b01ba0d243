#!/bin/sh
# SPDX-License-Identifier: MIT
# usage: tools/check_xmm.sh ELF
# The FPU's registers are the guests': outside BearSSL's functions, which are
# called between saving and restoring them, no instruction may touch one.
set -eu
bearssl=${BEARSSL:-/usr/lib/x86_64-linux-gnu/libbearssl.a}

{
	nm --defined-only "$bearssl" 2> /dev/null | awk 'NF == 3 { print $3 }'
	echo ---
	objdump -d --no-show-raw-insn "$1"
} | awk '
	$0 == "---" { code = 1; next }
	!code { foreign[$1] = 1; next }
	/^[0-9a-f]+ <.*>:$/ { name = substr($2, 2, length($2) - 3); lines++ }
	/%([xyz]?mm[0-9]|st)/ && !(name in foreign) {
		print name ": holds an FPU operand:" substr($0, index($0, ":") + 1)
		bad = 1
	}
	END {
		if (!lines) { print "no code found"; bad = 1 }
		exit bad
	}'
