/* SPDX-License-Identifier: MIT */
/* System V ABI, "ELF Header", "Program Header", "Note Section". */
#include "elf.h"

#include <mullion/bits.h>
#include <string.h>

struct header64 {
	uint8_t ident[16];
	uint16_t type, machine;
	uint32_t version;
	uint64_t entry, phoff, shoff;
	uint32_t flags;
	uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};

struct header32 {
	uint8_t ident[16];
	uint16_t type, machine;
	uint32_t version;
	uint32_t entry, phoff, shoff;
	uint32_t flags;
	uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};

struct segment64 {
	uint32_t type, flags;
	uint64_t offset, vaddr, paddr, filesz, memsz, align;
};

struct segment32 {
	uint32_t type, offset, vaddr, paddr, filesz, memsz, flags, align;
};

struct note {
	uint32_t name_size, descriptor_size, type;
};

_Static_assert(sizeof(struct header64) == 64, "ELF");
_Static_assert(sizeof(struct header32) == 52, "ELF");
_Static_assert(sizeof(struct segment64) == 56, "ELF");
_Static_assert(sizeof(struct segment32) == 32, "ELF");
_Static_assert(sizeof(struct note) == 12, "ELF");

/* Before it the class: 1 for 32 bits, 2 for 64.  Little-endian, version 1. */
static const uint8_t magic[] = { 0x7f, 'E', 'L', 'F' };
static const uint8_t encoding[] = { 1, 1 };
#define CLASS 4
#define CLASS_32 1
#define CLASS_64 2

#define ET_EXEC 2
#define EM_386 3
#define EM_X86_64 62
#define SEGMENTS_MAX 16 /* bound the work */
#define NOTES_MAX KIB(4)
#define OWNER_MAX 8

/* ---- header ------------------------------------------------------------- */

/* Whether the file has @size bytes at @offset. */
static bool in_file(const struct load *load, uint64_t offset, uint64_t size)
{
	uint64_t all = load->request.kernel.record->size;

	return offset <= all && size <= all - offset;
}

static void read_if_there(const struct load *load, void *to, size_t size)
{
	memset(to, 0, size);
	if (in_file(load, 0, size))
		image_read(&load->request.kernel, 0, to, size);
}

static void widen(const struct header32 *from, struct header64 *to)
{
	memcpy(to->ident, from->ident, sizeof to->ident);
	to->type = from->type;
	to->machine = from->machine;
	to->entry = from->entry;
	to->phoff = from->phoff;
	to->phentsize = from->phentsize;
	to->phnum = from->phnum;
}

/* Returns whether it is an ELF header of a class that is wanted. */
static bool read_header(const struct load *load, bool also_32,
			struct header64 *header)
{
	struct header32 narrow;

	read_if_there(load, header, sizeof *header);
	if (header->ident[CLASS] != CLASS_64 && also_32) {
		read_if_there(load, &narrow, sizeof narrow);
		widen(&narrow, header);
		if (narrow.ident[CLASS] != CLASS_32)
			return false;
	} else if (header->ident[CLASS] != CLASS_64) {
		return false;
	}
	return !memcmp(header->ident, magic, sizeof magic) &&
	       !memcmp(header->ident + CLASS + 1, encoding, sizeof encoding);
}

static uint32_t segment_size(bool is_64)
{
	return is_64 ? sizeof(struct segment64) : sizeof(struct segment32);
}

static const char *header_problem(const struct load *load,
				  const struct header64 *header)
{
	bool is_64 = header->ident[CLASS] == CLASS_64;

	if (header->machine != (is_64 ? EM_X86_64 : EM_386))
		return "it is for another processor";
	if (header->type != ET_EXEC)
		return "it is no executable with fixed addresses";
	if (header->phentsize != segment_size(is_64))
		return "its program headers have an odd size";
	if (header->phnum == 0 || header->phnum > SEGMENTS_MAX)
		return "the number of its program headers is not 1 to 16";
	if (!in_file(load, header->phoff, header->phnum * segment_size(is_64)))
		return "its program headers lie outside of the file";
	return NULL;
}

enum error elf_open(struct load *load, const char *what, bool also_32,
		    struct elf *elf)
{
	struct header64 header;
	const char *problem;

	if (read_header(load, also_32, &header))
		problem = header_problem(load, &header);
	else
		problem = also_32 ? "no ELF header" : "no ELF64 header";
	if (problem)
		return load_fail(load, ERR_BAD_IMAGE, "kernel is no %s: %s",
				 what, problem);
	*elf = (struct elf){
		.what = what,
		.is_64 = header.ident[CLASS] == CLASS_64,
		.entry = header.entry,
		.segments = header.phoff,
		.segment_count = header.phnum,
	};
	return ERR_NONE;
}

struct elf_segment elf_segment(const struct load *load, const struct elf *elf,
			       uint32_t index)
{
	const struct load_image *image = &load->request.kernel;
	uint64_t at = elf->segments + index * segment_size(elf->is_64);
	struct segment64 wide;
	struct segment32 narrow;

	if (elf->is_64) {
		image_read(image, at, &wide, sizeof wide);
		return (struct elf_segment){
			.type = wide.type,
			.flags = wide.flags,
			.offset = wide.offset,
			.vaddr = wide.vaddr,
			.paddr = wide.paddr,
			.filesz = wide.filesz,
			.memsz = wide.memsz,
		};
	}
	image_read(image, at, &narrow, sizeof narrow);
	return (struct elf_segment){
		.type = narrow.type,
		.flags = narrow.flags,
		.offset = narrow.offset,
		.vaddr = narrow.vaddr,
		.paddr = narrow.paddr,
		.filesz = narrow.filesz,
		.memsz = narrow.memsz,
	};
}

/* ---- notes -------------------------------------------------------------- */

struct wanted {
	const char *owner;
	uint32_t owner_size, type;
	void *descriptor;
	uint32_t room;
};

/* Takes the descriptor of the note whose name is at @at, if it is the one; and
 * returns its size, or 0. */
static uint32_t take_note(const struct load_image *image,
			  const struct note *note, uint64_t at,
			  const struct wanted *wanted)
{
	uint32_t size = note->descriptor_size;
	char name[OWNER_MAX];

	if (note->type != wanted->type || note->name_size != wanted->owner_size)
		return 0;
	image_read(image, at, name, wanted->owner_size);
	if (memcmp(name, wanted->owner, wanted->owner_size))
		return 0;
	memset(wanted->descriptor, 0, wanted->room);
	image_read(image, at + round_up(note->name_size, 4), wanted->descriptor,
		   size < wanted->room ? size : wanted->room);
	return size;
}

/* Looks through @size bytes of notes at @at, which are in the file. */
static uint32_t find_in(const struct load_image *image, uint64_t at,
			uint64_t size, const struct wanted *wanted)
{
	if (size > NOTES_MAX)
		size = NOTES_MAX;
	while (size >= sizeof(struct note)) {
		struct note note;
		uint64_t name, descriptor;
		uint32_t found;

		image_read(image, at, &note, sizeof note);
		at += sizeof note;
		size -= sizeof note;
		name = round_up((uint64_t)note.name_size, 4);
		descriptor = round_up((uint64_t)note.descriptor_size, 4);
		if (name > size || descriptor > size - name)
			return 0;
		found = take_note(image, &note, at, wanted);
		if (found)
			return found;
		at += name + descriptor;
		size -= name + descriptor;
	}
	return 0;
}

uint32_t elf_find_note(const struct load *load, const struct elf *elf,
		       const char *owner, uint32_t owner_size, uint32_t type,
		       void *descriptor, uint32_t room)
{
	const struct wanted wanted = { owner, owner_size, type, descriptor,
				       room };
	uint32_t found = 0;

	for (uint32_t i = 0; i < elf->segment_count && !found; i++) {
		struct elf_segment segment = elf_segment(load, elf, i);

		if (segment.type == ELF_SEGMENT_NOTE &&
		    in_file(load, segment.offset, segment.filesz))
			found = find_in(&load->request.kernel, segment.offset,
					segment.filesz, &wanted);
	}
	return found;
}

/* ---- segments ----------------------------------------------------------- */

static enum error add_segment(struct load *load,
			      const struct elf_segment *segment)
{
	struct load_work *work = load_work(load);
	const char *problem = NULL;

	if (segment->filesz > segment->memsz)
		problem = "is larger in the file than in memory";
	else if (!in_file(load, segment->offset, segment->filesz))
		problem = "lies outside of the file";
	else if (work->piece_count == LOAD_SEGMENTS)
		problem = "is one more than the 8 that can be loaded";
	else
		problem = place_problem(load, segment->paddr, segment->memsz);
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

enum error elf_add_segments(struct load *load, const struct elf *elf)
{
	enum error error = ERR_NONE;

	for (uint32_t i = 0; i < elf->segment_count && !error; i++) {
		struct elf_segment segment = elf_segment(load, elf, i);

		if (segment.type == ELF_SEGMENT_LOAD && segment.memsz)
			error = add_segment(load, &segment);
	}
	return error;
}
