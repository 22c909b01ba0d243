# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# What the scripts share that take guests out of Debian packages.  Nothing is
# installed.  Read by them: . "$here/../packages.sh"

die() {
	echo "${0##*/}: $*" >&2
	exit 1
}

sha256_of() {
	sha256sum "$1" | cut -d ' ' -f 1
}

# The field $2 of apt's record of package $1: of the version that apt would
# install.  The record is from the index that the archive's key signs.
field() {
	apt-cache show --no-all-versions "$1" 2> /dev/null |
		sed -n "s/^$2: //p" | head -n 1
}

# A machine that never ran apt-get update does not know package $1.
know_packages() {
	test -z "$(field "$1" Version)" || return 0
	test "$(id -u)" = 0 || die "apt has no package lists: apt-get update"
	apt-get -qq update
}

# Downloads package $1 into folder $2, which holds no other.
download() {
	version=$(field "$1" Version)
	test -n "$version" || die "apt knows no package $1"
	echo "${0##*/}: downloading $1 $version"
	(cd "$2" &&
		apt-get -qq -o APT::Sandbox::User= download "$1=$version")
	test "$(sha256_of "$2"/*.deb)" = "$(field "$1" SHA256)" ||
		die "$1: the file's SHA-256 is not that of the index"
}

# Compares file $1 of package and version $2 with list $3 of the source tree,
# where that has this version.
check_known() {
	want=$(sed -n "s/ .*$2\$//p" "$3")
	if test -z "$want"; then
		echo "${0##*/}: note: $2 is newer or older than those named in" \
			"${3##*/}"
	elif test "$want" != "$(sha256_of "$1")"; then
		die "$1 is not that of the $2 that is known"
	fi
}
