/* SPDX-License-Identifier: MIT */
/*
 * A kernel that starts as a Xen guest of kind PVH does: an ELF file whose
 * note XEN_ELFNOTE_PHYS32_ENTRY names a 32-bit entry point.  Stock Linux has
 * one, and needs nothing else of Xen.  Xen, "x86/HVM direct boot ABI"
 * (docs/misc/pvh.pandoc) and public/arch-x86/hvm/start_info.h.
 */
#include "elf.h"

#include <mullion/bits.h>
#include <mullion/guest.h>
#include <string.h>

#define WHAT "PVH kernel"
#define NOTE_OWNER "Xen"
#define NOTE_PHYS32_ENTRY 18

struct start_info {
	uint32_t magic, version, flags, module_count;
	uint64_t modules, command_line, rsdp, memory_map;
	uint32_t memory_map_count, reserved;
};

struct module {
	uint64_t start, size, command_line, reserved;
};

_Static_assert(sizeof(struct start_info) == 56, "hvm_start_info");
_Static_assert(sizeof(struct module) == 32, "hvm_modlist_entry");
_Static_assert(sizeof(struct memory_range) == 24, "hvm_memmap_table_entry");

#define START_MAGIC 0x336ec578 /* "xEn3" */
#define START_VERSION 1	       /* the first with a memory map */

#define MODULES_AT (LOW_INFO + sizeof(struct start_info))
#define MEMORY_MAP_AT (MODULES_AT + LOAD_MODULES * sizeof(struct module))
_Static_assert(MEMORY_MAP_AT + MEMORY_RANGES * sizeof(struct memory_range) <=
		       LOW_COMMAND_LINE,
	       "the tables end before the command line");

/* ---- check -------------------------------------------------------------- */

/* Whether physical @address is a byte of the file. */
static bool is_loaded(struct load *load, uint64_t address)
{
	const struct load_work *work = load_work(load);

	for (uint32_t i = 0; i < work->piece_count; i++)
		if (address - work->pieces[i].to < work->pieces[i].copied)
			return true;
	return false;
}

enum error pvh_check(struct load *load)
{
	struct elf elf;
	uint64_t entry = 0;
	uint32_t size;
	enum error error = elf_open(load, WHAT, true, &elf);

	if (error)
		return error;
	size = elf_find_note(load, &elf, NOTE_OWNER, sizeof NOTE_OWNER,
			     NOTE_PHYS32_ENTRY, &entry, sizeof entry);
	/* As many bytes as the kernel's pointers have. */
	if (size != 4 && size != 8)
		return load_fail(load, ERR_BAD_IMAGE,
				 "kernel is no " WHAT ": it has no note "
				 "XEN_ELFNOTE_PHYS32_ENTRY");
	error = elf_add_segments(load, &elf);
	if (error)
		return error;
	if (!is_loaded(load, entry))
		return load_fail(load, ERR_BAD_IMAGE,
				 "kernel: the PVH entry point 0x%lx is not in "
				 "a segment",
				 (unsigned long)entry);
	load->start.rip = entry;
	return modules_place(load);
}

/* ---- tables ------------------------------------------------------------- */

static enum error write_modules(struct load *load)
{
	const struct load_work *work = load_work(load);
	struct module modules[LOAD_MODULES] = { { 0 } };
	uint32_t lines[LOAD_MODULES];
	uint32_t count = modules_count(load);
	enum error error = command_lines_write(load, lines);

	for (uint32_t i = 0; i < count && !error; i++) {
		const struct load_piece *piece =
			&work->pieces[work->first_module + i];

		modules[i].start = piece->to;
		modules[i].size = piece->size;
		modules[i].command_line = lines[i];
	}
	return error ? error :
		       guest_write(load->request.memory, gpa(MODULES_AT),
				   modules, count * sizeof modules[0]);
}

enum error pvh_write_tables(struct load *load)
{
	const struct guest_memory *memory = load->request.memory;
	struct memory_range map[MEMORY_RANGES];
	uint32_t count = memory_ranges(&load->request, map);
	struct start_info info = {
		.magic = START_MAGIC,
		.version = START_VERSION,
		.module_count = modules_count(load),
		.modules = modules_count(load) ? MODULES_AT : 0,
		.command_line = LOW_COMMAND_LINE,
		.rsdp = MULL_GUEST_ACPI_AREA,
		.memory_map = MEMORY_MAP_AT,
		.memory_map_count = count,
	};
	enum error error = write_modules(load);

	if (!error)
		error = guest_write(memory, gpa(LOW_INFO), &info, sizeof info);
	if (!error)
		error = guest_write(memory, gpa(MEMORY_MAP_AT), map,
				    count * sizeof map[0]);
	load->start.rbx = LOW_INFO;
	return error;
}
