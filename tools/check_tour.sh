#!/bin/sh
# SPDX-License-Identifier: MIT
# usage: tools/check_tour.sh [DOCUMENT...]
# Looks whether what the documents name in backquotes is still there.
# `dir/file.c` and `dir/` must exist; `struct name` must be declared and `name()`
# defined somewhere, or, in a list, in what the item has named last before it.
set -eu
cd "$(dirname "$0")/.."
test $# -gt 0 || set -- docs/tour.md docs/architecture.md \
	docs/hardware.md docs/porting.md docs/decisions/*.md
sources="arch boot drivers guests include kernel tests tools"
bad=0
checked=0

# One line a name: where it stands, kind, name, and where it is looked for.
names() {
	awk '
	FNR == 1 || /^$/ { listed = 0 }
	/^ *- / { listed = 1; place = "-" }
	/^```/ { code = !code }
	code { next }
	{
		rest = $0
		while (match(rest, /`[^`]+`/)) {
			name = substr(rest, RSTART + 1, RLENGTH - 2)
			rest = substr(rest, RSTART + RLENGTH)
			where = FILENAME ":" FNR
			if (name ~ /^[a-z0-9_]+\(\)$/) {
				sub(/\(\)/, "", name)
				print where, "function", name, listed ? place : "-"
			} else if (name ~ /^struct [a-z0-9_]+$/) {
				print where, name, "-"
			} else if (name ~ /^[A-Za-z0-9_.\/-]+$/ &&
				   name ~ /[a-z]\// && name !~ /^build\//) {
				place = name
				print where, "path", name, "-"
			}
		}
	}' "$@"
}

is_there() {
	kind=$1 name=$2 place=$3
	# shellcheck disable=SC2086 # a list of folders
	case $kind in
	path)
		test -e "$name"
		;;
	struct)
		grep -rqsE "^\}? *(typedef )?struct $name \{" \
			--include='*.[ch]' $sources
		;;
	function)
		test "$place" != - || place=$sources
		grep -rqsE "^([A-Za-z_].*[ *])?$name\(|^ *def $name\(|^$name:" \
			--include='*.[chS]' --include='*.py' $place
		;;
	esac
}

list=$(names "$@")
while read -r where kind name place; do
	checked=$((checked + 1))
	is_there "$kind" "$name" "$place" && continue
	test "$place" = - && in= || in=" in $place"
	echo "$where: there is no $kind $name$in"
	bad=$((bad + 1))
done << NAMES
$list
NAMES

test "$checked" -gt 0 || echo "check_tour.sh: no names in the documents"
test "$bad" = 0 -a "$checked" -gt 0
echo "check_tour.sh: $checked names are there"
