/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as a guest of Mullion's own: the load ends, in an error with
 * words or with a start inside the VM's memory.
 * Build: as fuzz_bzimage.c says, with tests/fuzz/fuzz_elf64.c.
 */
#include "fuzz_loader.h"

#include <elf.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What a fuzzer would have to guess: the header, and the note, which is put
 * at the end where the third program header finds it. */
static void make_plausible(uint8_t *bytes, size_t size)
{
	static const uint8_t note[] = { 8,   0,	  0,   0, 4,   0,   0,	 0,
					1,   0,	  0,   0, 'M', 'u', 'l', 'l',
					'i', 'o', 'n', 0, 1,   0,   0,	 0 };
	Elf64_Ehdr header;
	Elf64_Phdr segment = { .p_type = PT_NOTE, .p_filesz = sizeof note };

	if (size < sizeof header + 3 * sizeof segment + sizeof note)
		return;
	memcpy(&header, bytes, sizeof header);
	memcpy(header.e_ident, "\177ELF\2\1\1", 7);
	header.e_type = ET_EXEC;
	header.e_machine = EM_X86_64;
	header.e_phentsize = sizeof segment;
	header.e_phnum = 3;
	header.e_phoff = sizeof header;
	memcpy(bytes, &header, sizeof header);
	segment.p_offset = size - sizeof note;
	memcpy(bytes + sizeof header + 2 * sizeof segment, &segment,
	       sizeof segment);
	memcpy(bytes + size - sizeof note, note, sizeof note);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *bytes = malloc(size ? size : 1);

	memcpy(bytes, data, size);
	if (size && (data[size - 1] & 1))
		make_plausible(bytes, size);
	fuzz_load(MULL_IMAGE_ELF64, bytes, size);
	free(bytes);
	return 0;
}
