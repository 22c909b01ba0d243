/* SPDX-License-Identifier: MIT */
/*
 * Where a Multiboot kernel lies: its header is looked for, and says it, or
 * the file is ELF.  Multiboot 0.6.96, "OS image format", "The address fields
 * of Multiboot header"; Multiboot 2.0, "The address tag of Multiboot2 header".
 */
#include "elf.h"
#include "multiboot.h"

#include <mullion/bits.h>
#include <string.h>

#define WHAT "Multiboot kernel"

/* ---- the header --------------------------------------------------------- */

#define FIND_STEP KIB(4)

static const struct format {
	uint32_t magic;
	uint32_t words; /* whose sum is 0 */
	uint32_t align, search;
	const char *version;
} formats[] = {
	{ 0x1badb002, 3, 4, MULTIBOOT_SEARCH, "" },
	{ 0xe85250d6, 4, 8, MULTIBOOT2_SEARCH, " 2" },
};

static bool is_header(const struct format *format, const uint8_t *at)
{
	uint32_t sum = 0, word;

	for (uint32_t i = 0; i < format->words; i++) {
		memcpy(&word, at + 4 * i, sizeof word);
		if (i == 0 && word != format->magic)
			return false;
		sum += word;
	}
	return sum == 0;
}

/* Looks through a piece of the file's beginning. */
enum error multiboot_find_step(struct load *load, bool *found)
{
	const struct load_image *image = &load->request.kernel;
	struct load_work *work = load_work(load);
	const struct format *format =
		&formats[image->record->kind == MULL_IMAGE_MULTIBOOT2];
	uint64_t length = image->record->size;
	uint64_t end = work->at + FIND_STEP;
	const uint8_t *bytes;

	/* It lies in one frame: all of it can be seen. */
	if (length > format->search)
		length = format->search;
	bytes = image_at(image, 0, &length);
	for (; work->at < end; work->at += format->align) {
		if (length < 4 * format->words ||
		    work->at > length - 4 * format->words)
			return load_fail(load, ERR_BAD_IMAGE,
					 "kernel is no " WHAT
					 ": no header of Multiboot%s in its "
					 "first %u KiB",
					 format->version,
					 format->search / 1024);
		*found = is_header(format, bytes + work->at);
		if (*found)
			break;
	}
	return ERR_NONE;
}

/* ---- places ------------------------------------------------------------- */

static enum error set_entry(struct load *load, uint64_t entry)
{
	const struct load_work *work = load_work(load);

	for (uint32_t i = 0; i < work->piece_count; i++) {
		if (entry - work->pieces[i].to >= work->pieces[i].copied)
			continue;
		load->start.rip = entry;
		return ERR_NONE;
	}
	return load_fail(load, ERR_BAD_IMAGE,
			 "kernel: the entry point 0x%lx is not in what is "
			 "loaded",
			 (unsigned long)entry);
}

/* Sets where in the file and in memory it begins; NULL: it can be. */
static const char *find_begin(struct load *load,
			      const struct multiboot_address *address,
			      struct load_piece *piece)
{
	uint64_t header = load_work(load)->header;

	if (address->load == ~0u) {
		if (header > address->header)
			return "begins below address 0";
		piece->to = address->header - header;
		return NULL;
	}
	if (address->load > address->header)
		return "begins behind its own header";
	if (address->header - address->load > header)
		return "begins before the file does";
	piece->to = address->load;
	piece->from = header - (address->header - address->load);
	return NULL;
}

static const char *find_end(const struct load *load,
			    const struct multiboot_address *address,
			    struct load_piece *piece)
{
	uint64_t there = load->request.kernel.record->size - piece->from;

	piece->copied = there;
	if (address->load_end) {
		if (address->load_end <= piece->to)
			return "ends before it begins";
		piece->copied = address->load_end - piece->to;
	}
	if (piece->copied > there)
		return "lies outside of the file";
	piece->size = piece->copied;
	if (address->bss_end) {
		if (address->bss_end < piece->to + piece->copied)
			return "ends behind its own zeroes";
		piece->size = address->bss_end - piece->to;
	}
	return NULL;
}

enum error multiboot_place(struct load *load,
			   const struct multiboot_address *address,
			   uint32_t entry)
{
	struct load_work *work = load_work(load);
	struct load_piece piece = { .image = &load->request.kernel };
	const char *problem = find_begin(load, address, &piece);

	if (!problem)
		problem = find_end(load, address, &piece);
	if (!problem)
		problem = place_problem(load, piece.to, piece.size);
	if (problem)
		return load_fail(load, ERR_BAD_IMAGE,
				 "kernel: what its header puts at 0x%lx %s",
				 (unsigned long)piece.to, problem);
	work->pieces[work->piece_count++] = piece;
	return set_entry(load, entry);
}

/* ELF's entry point is virtual by its rules, and a kernel's segments lie at
 * physical addresses; some kernels give a physical one all the same. */
static uint64_t physical(const struct load *load, const struct elf *elf)
{
	for (uint32_t i = 0; i < elf->segment_count; i++) {
		struct elf_segment segment = elf_segment(load, elf, i);

		if (segment.type == ELF_SEGMENT_LOAD &&
		    elf->entry - segment.vaddr < segment.filesz)
			return elf->entry - segment.vaddr + segment.paddr;
	}
	return elf->entry;
}

enum error multiboot_place_elf(struct load *load, const uint32_t *entry)
{
	struct elf elf;
	enum error error = elf_open(load, WHAT, true, &elf);

	if (!error)
		error = elf_add_segments(load, &elf);
	if (error)
		return error;
	return set_entry(load, entry ? *entry : physical(load, &elf));
}

/* ---- what both tell ----------------------------------------------------- */

uint32_t multiboot_lower(void)
{
	return MEMORY_LOW_END / 1024;
}

uint32_t multiboot_upper(const struct load *load)
{
	return (uint32_t)((load->request.memory_low - MIB(1)) / KIB(1));
}

/* IBM, "BIOS Data Area": the segment of the extended area, and KiB of memory
 * from 0.  Xen puts code that a processor starts with below them. */
enum error multiboot_write_bios_data(struct load *load)
{
	const uint16_t extended = MEMORY_LOW_END >> 4;
	const uint16_t size = MEMORY_LOW_END / 1024;
	enum error error = guest_write(load->request.memory, gpa(0x40e),
				       &extended, sizeof extended);

	return error ? error :
		       guest_write(load->request.memory, gpa(0x413), &size,
				   sizeof size);
}
