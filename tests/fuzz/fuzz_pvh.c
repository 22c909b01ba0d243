/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as a PVH kernel: the load ends, in an error with words or with a
 * start inside the VM's memory.  Build: as fuzz_bzimage.c says, with
 * tests/fuzz/fuzz_pvh.c.
 */
#include "fuzz_loader.h"

#include <elf.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* XEN_ELFNOTE_PHYS32_ENTRY of 8 bytes; what it says is the input's. */
static const uint8_t note[] = { 4,  0, 0, 0, 8,	  0,   0,   0,
				18, 0, 0, 0, 'X', 'e', 'n', 0 };

/* What a fuzzer would have to guess: the header, and the note, which is put
 * at the end where the third program header finds it. */
static void make_plausible(uint8_t *bytes, size_t size)
{
	Elf64_Ehdr header;
	Elf64_Phdr segment = { .p_type = PT_NOTE, .p_filesz = sizeof note + 8 };

	if (size < sizeof header + 3 * sizeof segment + sizeof note + 8)
		return;
	memcpy(&header, bytes, sizeof header);
	memcpy(header.e_ident, "\177ELF\2\1\1", 7);
	header.e_type = ET_EXEC;
	header.e_machine = EM_X86_64;
	header.e_phentsize = sizeof segment;
	header.e_phnum = 3;
	header.e_phoff = sizeof header;
	memcpy(bytes, &header, sizeof header);
	segment.p_offset = size - sizeof note - 8;
	memcpy(bytes + sizeof header + 2 * sizeof segment, &segment,
	       sizeof segment);
	memcpy(bytes + segment.p_offset, note, sizeof note);
}

/* The same of 32 bits. */
static void make_plausible32(uint8_t *bytes, size_t size)
{
	Elf32_Ehdr header;
	Elf32_Phdr segment = { .p_type = PT_NOTE, .p_filesz = sizeof note + 8 };

	if (size < sizeof header + 3 * sizeof segment + sizeof note + 8)
		return;
	memcpy(&header, bytes, sizeof header);
	memcpy(header.e_ident, "\177ELF\1\1\1", 7);
	header.e_type = ET_EXEC;
	header.e_machine = EM_386;
	header.e_phentsize = sizeof segment;
	header.e_phnum = 3;
	header.e_phoff = sizeof header;
	memcpy(bytes, &header, sizeof header);
	segment.p_offset = (uint32_t)(size - sizeof note - 8);
	memcpy(bytes + sizeof header + 2 * sizeof segment, &segment,
	       sizeof segment);
	memcpy(bytes + segment.p_offset, note, sizeof note);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *bytes = malloc(size ? size : 1);

	memcpy(bytes, data, size);
	if (size && data[size - 1] % 4 == 1)
		make_plausible(bytes, size);
	else if (size && data[size - 1] % 4 == 2)
		make_plausible32(bytes, size);
	fuzz_load(MULL_IMAGE_PVH, bytes, size);
	free(bytes);
	return 0;
}
