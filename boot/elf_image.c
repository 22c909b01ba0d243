/* SPDX-License-Identifier: MIT */
#include <mullion/bits.h>
#include <mullion/boot_info.h>
#include <stdbool.h>
#include <string.h>

#include "elf_image.h"

/* ELF-64 Object File Format 1.5, "ELF-64 File Header" */
struct elf_header {
	uint8_t identity[16];
	uint16_t type;
	uint16_t machine;
	uint32_t version;
	uint64_t entry;
	uint64_t program_offset;
	uint64_t section_offset;
	uint32_t flags;
	uint16_t header_size;
	uint16_t program_size; /* of one program header */
	uint16_t program_count;
	uint16_t section_size;
	uint16_t section_count;
	uint16_t section_names;
};

/* ELF-64 Object File Format 1.5, "ELF-64 Program Header" */
struct program_header {
	uint32_t type;
	uint32_t flags;
	uint64_t offset;
	uint64_t virtual_address;
	uint64_t physical_address;
	uint64_t file_size;
	uint64_t memory_size;
	uint64_t alignment;
};

static_assert(sizeof(struct elf_header) == 64, "file format");
static_assert(sizeof(struct program_header) == 56, "file format");

#define TYPE_EXECUTABLE 2
#define MACHINE_X86_64 62
#define SEGMENT_LOAD 1
#define SEGMENT_EXECUTABLE BIT(0)
#define PROGRAM_COUNT_MAX 16

/* Magic, 64-bit, little-endian, version 1: "ELF Identification, e_ident" */
static const uint8_t identity[] = { 0x7f, 'E', 'L', 'F', 2, 1, 1 };

static const char *check_header(const struct elf_header *header,
				uint64_t file_size)
{
	if (memcmp(header->identity, identity, sizeof identity))
		return "it is not a 64-bit ELF file";
	if (header->machine != MACHINE_X86_64)
		return "it is not for x86-64";
	if (header->type != TYPE_EXECUTABLE)
		return "it is not an executable with fixed addresses";
	if (header->program_size != sizeof(struct program_header))
		return "its program headers have an unknown size";
	if (!header->program_count || header->program_count > PROGRAM_COUNT_MAX)
		return "it has no program headers, or too many";
	if (header->program_offset > file_size ||
	    file_size - header->program_offset <
		    header->program_count * sizeof(struct program_header))
		return "its program headers lie outside the file";
	return NULL;
}

static const char *check_segment(const struct program_header *program,
				 uint64_t file_size)
{
	/* An address below the base wraps to a huge offset: one test. */
	uint64_t offset = program->virtual_address - MULL_KERNEL_BASE;

	if (program->offset > file_size ||
	    file_size - program->offset < program->file_size)
		return "a segment's bytes lie outside the file";
	if (program->file_size > program->memory_size)
		return "a segment is larger in the file than in memory";
	if (offset > MULL_KERNEL_MAX ||
	    MULL_KERNEL_MAX - offset < program->memory_size)
		return "a segment does not fit the 2 MiB at its link address";
	return NULL;
}

static bool overlaps_another(const struct elf_image *image, uint64_t offset,
			     uint64_t size)
{
	for (uint32_t i = 0; i < image->segment_count; i++) {
		const struct elf_segment *other = &image->segments[i];

		if (offset < other->offset + other->size &&
		    other->offset < offset + size)
			return true;
	}
	return false;
}

static const char *add_segment(struct elf_image *image,
			       const struct program_header *program)
{
	uint64_t offset = program->virtual_address - MULL_KERNEL_BASE;
	uint64_t end = round_up(offset + program->memory_size, PAGE_SIZE);

	if (image->segment_count == ELF_SEGMENT_MAX)
		return "it has too many segments";
	if (overlaps_another(image, offset, program->memory_size))
		return "two of its segments overlap";
	image->segments[image->segment_count++] = (struct elf_segment){
		.file_offset = program->offset,
		.file_size = program->file_size,
		.offset = offset,
		.size = program->memory_size,
	};
	if (image->size < end)
		image->size = end;
	return NULL;
}

const char *elf_image_check(const void *file, uint64_t file_size,
			    struct elf_image *image)
{
	struct elf_header header;
	struct program_header program;
	bool entry_found = false;
	const char *problem;

	*image = (struct elf_image){ 0 };
	if (file_size < sizeof header)
		return "it is too short for an ELF file";
	memcpy(&header, file, sizeof header);
	problem = check_header(&header, file_size);
	if (problem)
		return problem;

	for (uint32_t i = 0; i < header.program_count; i++) {
		memcpy(&program,
		       (const uint8_t *)file + header.program_offset +
			       i * sizeof program,
		       sizeof program);
		if (program.type != SEGMENT_LOAD || !program.memory_size)
			continue;
		problem = check_segment(&program, file_size);
		if (!problem)
			problem = add_segment(image, &program);
		if (problem)
			return problem;
		if (program.flags & SEGMENT_EXECUTABLE &&
		    header.entry - program.virtual_address <
			    program.memory_size)
			entry_found = true;
	}
	image->entry = header.entry;
	return entry_found ? NULL : "its entry point is in no code segment";
}

void elf_image_load(const void *file, const struct elf_image *image,
		    void *block)
{
	memset(block, 0, image->size);
	for (uint32_t i = 0; i < image->segment_count; i++) {
		const struct elf_segment *segment = &image->segments[i];

		memcpy((uint8_t *)block + segment->offset,
		       (const uint8_t *)file + segment->file_offset,
		       segment->file_size);
	}
}
