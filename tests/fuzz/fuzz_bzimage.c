/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as a Linux kernel: the load ends, in an error with words or with
 * a start inside the VM's memory.
 * Build: clang -std=gnu17 -g -O1 -fsanitize=fuzzer,address,undefined
 *        -D_GNU_SOURCE -Iinclude -Ibuild/gen -I. tests/fuzz/fuzz_bzimage.c
 *        kernel/loaders/{load,long_mode,guest_acpi,bzimage,elf64}.c
 *        kernel/memory/guest_memory.c arch/fake/fake_{memory,cpu}.c
 *        kernel/format.c kernel/error.c -lbearssl
 */
#include "fuzz_loader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What a fuzzer would have to guess: boot_flag, the jump, HdrS, version,
 * loadflags, xloadflags. */
static void make_plausible(uint8_t *bytes, size_t size)
{
	static const uint8_t start[] = { 0x55, 0xaa, 0xeb, 0x6a, 'H',
					 'd',  'r',  'S',  0x0f, 0x02 };

	if (size < 0x290)
		return;
	memcpy(bytes + 0x1fe, start, sizeof start);
	bytes[0x211] |= 1;
	bytes[0x236] |= 1;
	/* Small numbers of sectors and sizes, so that they can fit. */
	bytes[0x1f1] &= 3;
	memset(bytes + 0x1f6, 0, 2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *bytes = malloc(size ? size : 1);

	memcpy(bytes, data, size);
	if (size && (data[0] & 1))
		make_plausible(bytes, size);
	fuzz_load(MULL_IMAGE_BZIMAGE, bytes, size);
	free(bytes);
	return 0;
}
