# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# Read by the guest's tests: PASS or FAIL and a text, in the grammar of the
# SDK's test guests.
passed=0
failed=0

report() { # status text
	if test "$1" = 0; then
		passed=$((passed + 1))
		echo "PASS $2"
	else
		failed=$((failed + 1))
		echo "FAIL $2"
	fi
}

report_done() {
	echo "DONE $passed $failed"
}

# Whether the kernel has found fault with something, and what.  Guests have no
# speculation control yet, which two of its lines are about.
complaints() {
	dmesg | grep -v -e 'RETBleed: ' -e 'Speculative Return Stack Overflow: ' |
		grep -E 'WARNING|BUG:|Oops|Call Trace|rcu.*stall'
}
