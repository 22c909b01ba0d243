/* SPDX-License-Identifier: MIT */
#include "support_guest_files.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <elf.h>
#include <mullion/guest.h>
#include <stdio.h>
#include <string.h>

void write_file(const char *name, const void *bytes, size_t size)
{
	FILE *stream = fopen(name, "w");

	assert_non_null(stream);
	assert_int_equal(fwrite(bytes, 1, size, stream), size);
	assert_int_equal(fclose(stream), 0);
}

void write_linux_file(const char *name, uint8_t minor, uint8_t xloadflags)
{
	uint8_t image[1024] = { 0 };

	memcpy(image + 0x202, "HdrS", 4);
	image[0x206] = minor;
	image[0x207] = 2;
	image[0x236] = xloadflags;
	image[0x263] = 2;
	write_file(name, image, sizeof image);
}

void write_elf_file(const char *name, int bits, const char *owner,
		    uint32_t type)
{
	struct {
		Elf64_Ehdr elf;
		Elf64_Phdr segment;
		Elf64_Nhdr note;
		char owner[8];
		uint32_t abi;
	} image = {
		.elf = { .e_ident = ELFMAG,
			 .e_machine = EM_X86_64,
			 .e_phoff = sizeof(Elf64_Ehdr),
			 .e_phnum = 1 },
		.segment = { .p_type = PT_NOTE,
			     .p_offset = sizeof(Elf64_Ehdr) +
					 sizeof(Elf64_Phdr),
			     .p_filesz = sizeof(Elf64_Nhdr) + 12 },
		.note = { (Elf64_Word)strlen(owner) + 1, 4, type },
		.abi = MULL_GUEST_ABI,
	};

	image.elf.e_ident[EI_CLASS] = bits == 64 ? ELFCLASS64 : ELFCLASS32;
	memcpy(image.owner, owner, sizeof image.owner);
	write_file(name, &image, sizeof image);
}

void write_elf32_file(const char *name, const char *owner, uint32_t type)
{
	struct {
		Elf32_Ehdr elf;
		Elf32_Phdr segment;
		Elf32_Nhdr note;
		char owner[4];
		uint32_t entry;
	} image = {
		.elf = { .e_ident = ELFMAG,
			 .e_machine = EM_386,
			 .e_phoff = sizeof(Elf32_Ehdr),
			 .e_phnum = 1 },
		.segment = { .p_type = PT_NOTE,
			     .p_offset = sizeof(Elf32_Ehdr) +
					 sizeof(Elf32_Phdr),
			     .p_filesz = sizeof(Elf32_Nhdr) + 8 },
		.note = { 4, 4, type },
	};

	image.elf.e_ident[EI_CLASS] = ELFCLASS32;
	memcpy(image.owner, owner, sizeof image.owner);
	write_file(name, &image, sizeof image);
}
