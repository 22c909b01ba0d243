/* SPDX-License-Identifier: MIT */
/*
 * Mullion's own ELF64 guests (<mullion/guest.h>).  System V ABI, "ELF
 * Header", "Program Header", "Note Section".
 */
#include "loader.h"

#include <mullion/bits.h>
#include <mullion/guest.h>
#include <mullion/log.h>
#include <string.h>

struct elf_header {
	uint8_t ident[16];
	uint16_t type, machine;
	uint32_t version;
	uint64_t entry, phoff, shoff;
	uint32_t flags;
	uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};

struct elf_segment {
	uint32_t type, flags;
	uint64_t offset, vaddr, paddr, filesz, memsz, align;
};

struct elf_note {
	uint32_t name_size, descriptor_size, type;
};

_Static_assert(sizeof(struct elf_header) == 64, "ELF");
_Static_assert(sizeof(struct elf_segment) == 56, "ELF");
_Static_assert(sizeof(struct elf_note) == 12, "ELF");

/* 64-bit, little-endian, version 1. */
static const uint8_t ident[] = { 0x7f, 'E', 'L', 'F', 2, 1, 1 };

#define ET_EXEC 2
#define EM_X86_64 62
#define PT_LOAD 1
#define PT_NOTE 4
#define PF_X BIT(0)
#define SEGMENTS_MAX 16 /* bound the work */
#define NOTES_MAX KIB(4)

/* ---- header ------------------------------------------------------------- */

static uint64_t file_size(const struct load *load)
{
	return load->request.kernel.record->size;
}

/* Whether the file has @size bytes at @offset. */
static bool in_file(const struct load *load, uint64_t offset, uint64_t size)
{
	return offset <= file_size(load) && size <= file_size(load) - offset;
}

static enum error check_header(struct load *load, struct elf_header *header)
{
	const char *problem = NULL;

	memset(header, 0, sizeof *header);
	if (in_file(load, 0, sizeof *header))
		image_read(&load->request.kernel, 0, header, sizeof *header);
	if (memcmp(header->ident, ident, sizeof ident))
		problem = "no ELF64 header";
	else if (header->machine != EM_X86_64)
		problem = "it is for another processor";
	else if (header->type != ET_EXEC)
		problem = "it is no executable with fixed addresses";
	else if (header->phentsize != sizeof(struct elf_segment))
		problem = "its program headers have an odd size";
	else if (header->phnum == 0 || header->phnum > SEGMENTS_MAX)
		problem = "the number of its program headers is not 1 to 16";
	else if (!in_file(load, header->phoff,
			  header->phnum * sizeof(struct elf_segment)))
		problem = "its program headers lie outside of the file";
	if (problem)
		return load_fail(load, ERR_BAD_IMAGE,
				 "kernel is no guest of Mullion: %s", problem);
	return ERR_NONE;
}

static struct elf_segment get_segment(const struct load *load,
				      const struct elf_header *header,
				      uint32_t index)
{
	struct elf_segment segment;

	image_read(&load->request.kernel,
		   header->phoff + index * sizeof segment, &segment,
		   sizeof segment);
	return segment;
}

/* ---- note --------------------------------------------------------------- */

/* Looks through @size bytes of notes at @at; 0: Mullion's is not there. */
static uint32_t find_abi(const struct load_image *image, uint64_t at,
			 uint64_t size)
{
	struct __attribute__((packed)) {
		struct elf_note note;
		char name[sizeof MULL_NOTE_OWNER];
		uint32_t abi;
	} found = { 0 };

	if (size > NOTES_MAX)
		size = NOTES_MAX;
	while (size >= sizeof found.note) {
		uint64_t name, descriptor;

		image_read(image, at, &found.note, sizeof found.note);
		at += sizeof found.note;
		size -= sizeof found.note;
		name = round_up(found.note.name_size, 4);
		descriptor = round_up(found.note.descriptor_size, 4);
		if (name > size || descriptor > size - name)
			return 0;
		if (found.note.type == MULL_NOTE_ABI &&
		    found.note.name_size == sizeof found.name &&
		    found.note.descriptor_size == sizeof found.abi) {
			image_read(image, at, found.name,
				   sizeof found - sizeof found.note);
			if (!memcmp(found.name, MULL_NOTE_OWNER,
				    sizeof found.name))
				return found.abi;
		}
		at += name + descriptor;
		size -= name + descriptor;
	}
	return 0;
}
_Static_assert(sizeof MULL_NOTE_OWNER % 4 == 0, "the ABI follows the name");

static enum error check_note(struct load *load, const struct elf_header *header)
{
	uint32_t abi = 0;

	for (uint32_t i = 0; i < header->phnum && !abi; i++) {
		struct elf_segment segment = get_segment(load, header, i);

		if (segment.type == PT_NOTE &&
		    in_file(load, segment.offset, segment.filesz))
			abi = find_abi(&load->request.kernel, segment.offset,
				       segment.filesz);
	}
	if (!abi)
		return load_fail(load, ERR_BAD_IMAGE,
				 "kernel is no guest of Mullion: it has no "
				 "note of that name");
	if (abi != MULL_GUEST_ABI)
		return load_fail(load, ERR_VERSION,
				 "kernel was made for version %u of the "
				 "guest's interface, but this is version %u",
				 abi, MULL_GUEST_ABI);
	return ERR_NONE;
}

/* ---- segments ----------------------------------------------------------- */

/* Whether two ranges that do not wrap have a byte in common. */
static bool overlap(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
	return a < b ? b - a < a_size : a - b < b_size;
}

/* What is wrong with the place of a segment; NULL: nothing. */
static const char *place_problem(struct load *load,
				 const struct elf_segment *segment)
{
	const struct load_work *work = load_work(load);
	uint64_t low = load->request.memory_low;
	uint64_t at = segment->paddr, size = segment->memsz;

	if (at > low || size > low - at)
		return "reaches beyond the VM's memory below 4 GiB";
	if (at < LOW_END)
		return "lies below 64 KiB, where the loader puts its tables";
	if (overlap(at, size, MULL_GUEST_ACPI_AREA,
		    MIB(1) - MULL_GUEST_ACPI_AREA))
		return "lies over the ACPI tables from 0xe0000 to 1 MiB";
	for (uint32_t i = 0; i < work->piece_count; i++)
		if (overlap(at, size, work->pieces[i].to, work->pieces[i].size))
			return "overlaps another one";
	return NULL;
}

static enum error add_segment(struct load *load,
			      const struct elf_segment *segment)
{
	struct load_work *work = load_work(load);
	const char *problem = NULL;

	if (segment->filesz > segment->memsz)
		problem = "is larger in the file than in memory";
	else if (!in_file(load, segment->offset, segment->filesz))
		problem = "lies outside of the file";
	else if (work->piece_count == LOAD_PIECES)
		problem = "is one more than the 8 that can be loaded";
	else
		problem = place_problem(load, segment);
	if (problem)
		return load_fail(load, ERR_BAD_IMAGE,
				 "kernel: the segment of %lu bytes at 0x%lx %s",
				 (unsigned long)segment->memsz,
				 (unsigned long)segment->paddr, problem);
	work->pieces[work->piece_count++] = (struct load_piece){
		.to = segment->paddr,
		.image = &load->request.kernel,
		.from = segment->offset,
		.copied = segment->filesz,
		.size = segment->memsz,
	};
	return ERR_NONE;
}

enum error elf64_check(struct load *load)
{
	struct elf_header header;
	enum error error = check_header(load, &header);
	bool entered = false;

	if (!error)
		error = check_note(load, &header);
	if (error)
		return error;
	for (uint32_t i = 0; i < header.phnum && !error; i++) {
		struct elf_segment segment = get_segment(load, &header, i);

		if (segment.type != PT_LOAD || segment.memsz == 0)
			continue;
		error = add_segment(load, &segment);
		if ((segment.flags & PF_X) &&
		    header.entry - segment.paddr < segment.filesz)
			entered = true;
	}
	if (!error && !entered)
		return load_fail(load, ERR_BAD_IMAGE,
				 "kernel: the entry point 0x%lx is not in a "
				 "segment with code",
				 (unsigned long)header.entry);
	load->start.rip = header.entry;
	return error;
}

/* ---- what the guest is told --------------------------------------------- */

enum error elf64_write_tables(struct load *load)
{
	const struct load_request *request = &load->request;
	struct mull_guest_info info = {
		.magic = MULL_GUEST_INFO_MAGIC,
		.abi = MULL_GUEST_ABI,
		.vcpu_count = request->vm->vcpu_count,
		.memory_low = request->memory_low,
		.memory_high = request->memory_high,
		.tsc_khz = request->tsc_khz,
		.rsdp = MULL_GUEST_ACPI_AREA,
		.command_line = LOW_COMMAND_LINE,
	};
	enum error error;

	memcpy(info.name, request->vm->name, sizeof info.name - 1);
	error = guest_write(request->memory, gpa(LOW_INFO), &info, sizeof info);
	/* The page of the command line is zero and ends it. */
	if (!error)
		error = guest_write(request->memory, gpa(LOW_COMMAND_LINE),
				    request->vm->command_line,
				    command_line_length(request->vm));
	load->start.rdi = LOW_INFO;
	return error;
}
