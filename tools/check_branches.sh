#!/bin/sh
# SPDX-License-Identifier: MIT
# usage: tools/check_branches.sh ELF
# A guest could train an indirect branch: there is none but the thunks', which
# become retpolines where it matters, and those that run before any guest.
set -eu
objdump -d --no-show-raw-insn "$1" | awk '
	/^[0-9a-f]+ <.*>:$/ { name = substr($2, 2, length($2) - 3) }
	name ~ /^(__x86_indirect_thunk_|switch_stack$|trampoline)/ {
		allowed++
		next
	}
	/\t(notrack )?l?(call|jmp)q? +\*/ {
		print name ": branches indirectly:" substr($0, index($0, ":") + 1)
		bad = 1
	}
	END {
		if (!allowed) { print "no code found"; bad = 1 }
		exit bad
	}'
