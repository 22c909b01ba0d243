/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as a Multiboot kernel: the load ends, in an error with words or
 * with a start inside the VM's memory.  Build: as fuzz_bzimage.c says, with
 * tests/fuzz/fuzz_multiboot.c.
 */
#include "fuzz_loader.h"

#include <elf.h>

#define HEADER 128 /* byte of the file */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What a fuzzer would have to guess: magic and sum. */
static void make_header(uint8_t *bytes)
{
	uint32_t words[3];

	memcpy(words, bytes + HEADER, sizeof words);
	words[0] = 0x1badb002;
	words[2] = -(words[0] + words[1]);
	memcpy(bytes + HEADER, words, sizeof words);
}

/* ELF of 32 bits with two segments, which the input makes. */
static void make_elf(uint8_t *bytes)
{
	Elf32_Ehdr header;

	memcpy(&header, bytes, sizeof header);
	memcpy(header.e_ident, "\177ELF\1\1\1", 7);
	header.e_type = ET_EXEC;
	header.e_machine = EM_386;
	header.e_phentsize = sizeof(Elf32_Phdr);
	header.e_phnum = 2;
	header.e_phoff = sizeof header;
	memcpy(bytes, &header, sizeof header);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *bytes = malloc(size ? size : 1);

	memcpy(bytes, data, size);
	if (size >= HEADER + 64 && data[size - 1] & 1)
		make_header(bytes);
	if (size >= HEADER + 64 && data[size - 1] & 2)
		make_elf(bytes);
	fuzz_load(MULL_IMAGE_MULTIBOOT, bytes, size);
	free(bytes);
	return 0;
}
