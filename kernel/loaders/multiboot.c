/* SPDX-License-Identifier: MIT */
/* Multiboot 0.6.96: "The layout of Multiboot header", "Machine state", "Boot
 * information format". */
#include "multiboot.h"

#include <mullion/bits.h>
#include <string.h>

struct header {
	uint32_t magic, flags, checksum;
	/* Valid with HEADER_ADDRESS only. */
	struct multiboot_address address;
	uint32_t entry;
};

/* What lower bits mean that are not here a kernel cannot do without. */
#define HEADER_ALIGN BIT(0)  /* modules begin a page: they always do */
#define HEADER_MEMORY BIT(1) /* told in every case */
#define HEADER_VIDEO BIT(2)  /* a wish, which stays one */
#define HEADER_NEEDS BITS(15, 0)
#define HEADER_ADDRESS BIT(16)
#define HEADER_SHORT 12 /* bytes without the address fields */

struct info {
	uint32_t flags;
	uint32_t lower, upper; /* KiB */
	uint32_t boot_device;
	uint32_t command_line;
	uint32_t module_count, modules;
	uint32_t symbols[4];
	uint32_t map_length, map;
	uint32_t drives_length, drives;
	uint32_t config_table;
	uint32_t loader_name;
	uint32_t apm_table;
};

#define INFO_MEMORY BIT(0)
#define INFO_COMMAND_LINE BIT(2)
#define INFO_MODULES BIT(3)
#define INFO_MAP BIT(6)
#define INFO_LOADER_NAME BIT(9)

struct module {
	uint32_t start, end, words, reserved;
};

struct __attribute__((packed)) range {
	uint32_t size; /* of what follows */
	uint64_t start, length;
	uint32_t type;
};

/* All that is at LOW_INFO. */
struct tables {
	struct info info;
	struct module modules[LOAD_MODULES];
	struct range map[MEMORY_RANGES];
	char loader_name[sizeof MULTIBOOT_LOADER];
};

_Static_assert(sizeof(struct header) == 32, "Multiboot");
_Static_assert(sizeof(struct info) == 72, "Multiboot");
_Static_assert(sizeof(struct range) == 24, "Multiboot");
_Static_assert(LOW_INFO + sizeof(struct tables) <= LOW_COMMAND_LINE,
	       "the tables end before the command line");

#define LOADED_BY_MULTIBOOT 0x2badb002 /* in EAX */

enum error multiboot_check(struct load *load)
{
	const struct load_image *image = &load->request.kernel;
	uint64_t at = load_work(load)->header;
	uint64_t there = image->record->size < MULTIBOOT_SEARCH ?
				 image->record->size :
				 MULTIBOOT_SEARCH;
	struct header header = { 0 };
	enum error error;
	uint32_t unknown;

	image_read(image, at, &header,
		   there - at < sizeof header ? HEADER_SHORT : sizeof header);
	unknown = header.flags & HEADER_NEEDS &
		  ~(HEADER_ALIGN | HEADER_MEMORY | HEADER_VIDEO);
	if (unknown)
		return load_fail(load, ERR_UNSUPPORTED,
				 "kernel: its Multiboot header asks for flags "
				 "0x%x, which are not known",
				 unknown);
	if (!(header.flags & HEADER_ADDRESS))
		error = multiboot_place_elf(load, NULL);
	else if (there - at < sizeof header)
		error = load_fail(load, ERR_BAD_IMAGE,
				  "kernel: its Multiboot header ends too "
				  "early");
	else
		error = multiboot_place(load, &header.address, header.entry);
	return error ? error : modules_place(load);
}

/* ---- tables ------------------------------------------------------------- */

static void fill_modules(struct load *load, struct tables *tables,
			 const uint32_t words[LOAD_MODULES])
{
	const struct load_work *work = load_work(load);

	tables->info.module_count = modules_count(load);
	tables->info.modules = LOW_INFO + offsetof(struct tables, modules);
	for (uint32_t i = 0; i < modules_count(load); i++) {
		const struct load_piece *piece =
			&work->pieces[work->first_module + i];

		tables->modules[i] = (struct module){
			.start = (uint32_t)piece->to,
			.end = (uint32_t)(piece->to + piece->size),
			.words = words[i],
		};
	}
}

static void fill_map(const struct load *load, struct tables *tables)
{
	struct memory_range ranges[MEMORY_RANGES];
	uint32_t count = memory_ranges(&load->request, ranges);

	tables->info.map = LOW_INFO + offsetof(struct tables, map);
	tables->info.map_length = count * sizeof tables->map[0];
	for (uint32_t i = 0; i < count; i++)
		tables->map[i] = (struct range){
			.size = sizeof(struct range) - sizeof(uint32_t),
			.start = ranges[i].start,
			.length = ranges[i].size,
			.type = ranges[i].type,
		};
}

enum error multiboot_write_tables(struct load *load)
{
	struct tables tables = {
		.info = {
			.flags = INFO_MEMORY | INFO_COMMAND_LINE |
				 INFO_MODULES | INFO_MAP | INFO_LOADER_NAME,
			.lower = multiboot_lower(),
			.upper = multiboot_upper(load),
			.command_line = LOW_COMMAND_LINE,
			.loader_name = LOW_INFO +
				       offsetof(struct tables, loader_name),
		},
		.loader_name = MULTIBOOT_LOADER,
	};
	uint32_t words[LOAD_MODULES] = { 0 };
	enum error error = command_lines_write(load, words);

	fill_modules(load, &tables, words);
	fill_map(load, &tables);
	if (!error)
		error = guest_write(load->request.memory, gpa(LOW_INFO),
				    &tables, sizeof tables);
	if (!error)
		error = multiboot_write_bios_data(load);
	load->start.rax = LOADED_BY_MULTIBOOT;
	load->start.rbx = LOW_INFO;
	return error;
}
