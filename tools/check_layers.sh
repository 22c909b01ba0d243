#!/bin/sh
# SPDX-License-Identifier: MIT
# usage: tools/check_layers.sh [BUILD]
# Who may include what: each room of the tree sees its neighbours through
# include/mullion/ only.  And each header can be included alone.
set -eu
build=$(realpath "${1:-build}")
cd "$(dirname "$0")/.."
bad=0

includes() { # room, what
	grep -rnE --include='*.[chS]' "^[ 	]*#[ 	]*include [<\"]($2)" \
		"$1" || true
}

complain() { # lines, rule
	test -n "$1" || return 0
	echo "$1" | sed "s|\$|: $2|"
	bad=1
}

deny() { # room, what, rule
	complain "$(includes "$1" "$2")" "$3"
}

only() { # room, contracts, rule
	complain "$(includes "$1" mullion/ |
		grep -vE "<mullion/($2)\.h>" || true)" "$3"
}

rooms='(\.\./)*(arch|boot|kernel|drivers|guests|tools|tests)/'
firmware='efi\.h|efilib\.h|firmware\.h'
deny include "$rooms|$firmware" 'contracts depend on contracts only'
deny kernel "$rooms|$firmware|(vmx|svm|ept|npt|cpu|registers|acpi)\.h" \
	'kernel/ sees arch and drivers through include/mullion/'
deny drivers "$rooms|$firmware" 'drivers/ see include/mullion/ only'
deny arch/x86 "$rooms|$firmware" 'arch/ knows neither firmware nor devices'
deny arch/x86/vmx '.*(svm|npt)' 'a vendor does not know the other one'
deny arch/x86/svm '.*(vmx|vmcs|ept)' 'a vendor does not know the other one'
deny boot "$rooms" 'boot/ sees include/mullion/ only'
deny tools "$rooms" 'tools/ see include/mullion/ only'
deny guests '(\.\./)*(arch|boot|kernel|drivers|tools|tests)/' \
	'guests/ see the SDK and include/mullion/ only'
only boot 'bits|boot_info|package' \
	'boot/ shares the hand-off and the package with the kernel'
only tools 'bits|channel|control|crc32|datagram|description|error|frame|guest|package|vm_exit|window' \
	'tools/ share formats with the hypervisor, and nothing else'
only guests 'bits|error|guest' 'guests/ share <mullion/guest.h>'

complain "$(grep -rnE --include='*.[ch]' \
	'\<(asm|__asm__)\>[ a-z_]*\(|\<(VMCB|VMCS|MSR_VM)_[A-Z]' kernel ||
	true)" 'kernel/ holds neither assembly nor a vendor register'

alone() { # folder, the options that its files are compiled with
	folder=$1
	shift
	for header in "$folder"/*.h; do
		echo "#include \"$header\"" | ${CC:-gcc} -std=gnu17 -Wall \
			-Werror -I. -Iinclude "-I$build/gen" "$@" \
			-fsyntax-only -x c - || {
			echo "$header: cannot be included alone"
			bad=1
		}
	done
}

for folder in $(find include kernel arch drivers -name '*.h' \
	-exec dirname {} + | sort -u); do
	alone "$folder" -ffreestanding
done
alone boot -ffreestanding -fshort-wchar -DGNU_EFI_USE_MS_ABI \
	-isystem /usr/include/efi -isystem /usr/include/efi/x86_64
alone tools/libmullctl -D_GNU_SOURCE
alone tools/mullctl -D_GNU_SOURCE -Itools/libmullctl
for folder in guests/sdk guests/*/; do
	test -z "$(find "$folder" -maxdepth 1 -name '*.h')" ||
		alone "${folder%/}" -ffreestanding -Iguests/sdk
done
exit $bad
