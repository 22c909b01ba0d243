/* SPDX-License-Identifier: MIT */
/* Multiboot 2.0: "The layout of Multiboot2 header", "I386 machine state",
 * "Boot information". */
#include "multiboot.h"

#include <mullion/bits.h>
#include <mullion/guest.h>
#include <string.h>

struct header {
	uint32_t magic, architecture, length, checksum;
};

#define ARCHITECTURE_I386 0

struct header_tag {
	uint16_t type, flags;
	uint32_t size;
};

#define TAG_OPTIONAL BIT(0)
#define TAGS_MAX 32	/* bound the work */
#define REQUESTS_MAX 64 /* the same */

enum header_tag_type {
	HEADER_END,
	HEADER_REQUEST,
	HEADER_ADDRESS,
	HEADER_ENTRY,
	HEADER_CONSOLE,
	HEADER_FRAMEBUFFER,
	HEADER_ALIGN,
	HEADER_EFI_SERVICES,
	HEADER_EFI_ENTRY_32,
	HEADER_EFI_ENTRY_64,
	HEADER_RELOCATABLE,
};

enum info_tag_type {
	INFO_END = 0,
	INFO_COMMAND_LINE = 1,
	INFO_LOADER_NAME = 2,
	INFO_MODULE = 3,
	INFO_MEMORY = 4,
	INFO_MAP = 6,
	INFO_RSDP_OLD = 14,
	INFO_RSDP_NEW = 15,
	INFO_LOAD_BASE = 21, /* the last that is known */
};

#define LOADED_BY_MULTIBOOT2 0x36d76289 /* in EAX */

/* ---- the header --------------------------------------------------------- */

struct reading {
	struct load *load;
	uint64_t at, end; /* of the tags in the file */
	bool has_address, has_entry, relocatable;
	struct multiboot_address address;
	uint32_t entry;
};

static enum error refuse(struct reading *reading, enum error error,
			 const char *words)
{
	return load_fail(reading->load, error,
			 "kernel: its Multiboot 2 header %s", words);
}

/* Reads what follows the head of a tag of @tag's size at @at. */
static enum error read_body(struct reading *reading,
			    const struct header_tag *tag, void *to, size_t size)
{
	if (tag->size < sizeof *tag + size)
		return refuse(reading, ERR_BAD_IMAGE,
			      "has a tag that is too short");
	image_read(&reading->load->request.kernel, reading->at + sizeof *tag,
		   to, size);
	return ERR_NONE;
}

/* What is known can be asked for, though this machine may not have it. */
static enum error take_requests(struct reading *reading,
				const struct header_tag *tag)
{
	uint32_t count = (tag->size - sizeof *tag) / 4;
	uint32_t types[REQUESTS_MAX];

	if (count > REQUESTS_MAX)
		return refuse(reading, ERR_UNSUPPORTED,
			      "asks for more than 64 pieces of information");
	read_body(reading, tag, types, 4 * count);
	for (uint32_t i = 0; i < count; i++)
		if (types[i] > INFO_LOAD_BASE && !(tag->flags & TAG_OPTIONAL))
			return load_fail(reading->load, ERR_UNSUPPORTED,
					 "kernel: its Multiboot 2 header asks "
					 "for information of type %u, which is "
					 "not known",
					 types[i]);
	return ERR_NONE;
}

/* Wishes for a screen stay wishes, and ways to start by EFI are not taken. */
static enum error take_tag(struct reading *reading,
			   const struct header_tag *tag)
{
	switch (tag->type) {
	case HEADER_REQUEST:
		return take_requests(reading, tag);
	case HEADER_ADDRESS:
		reading->has_address = true;
		return read_body(reading, tag, &reading->address,
				 sizeof reading->address);
	case HEADER_ENTRY:
		reading->has_entry = true;
		return read_body(reading, tag, &reading->entry,
				 sizeof reading->entry);
	case HEADER_RELOCATABLE:
		reading->relocatable = true;
		return ERR_NONE;
	case HEADER_CONSOLE:
	case HEADER_FRAMEBUFFER:
	case HEADER_ALIGN: /* modules always begin a page */
	case HEADER_EFI_SERVICES:
	case HEADER_EFI_ENTRY_32:
	case HEADER_EFI_ENTRY_64:
		return ERR_NONE;
	}
	if (tag->flags & TAG_OPTIONAL)
		return ERR_NONE;
	return load_fail(reading->load, ERR_UNSUPPORTED,
			 "kernel: its Multiboot 2 header has a tag of type %u, "
			 "which is not known",
			 tag->type);
}

static enum error read_tags(struct reading *reading)
{
	struct header_tag tag;

	for (uint32_t i = 0; i < TAGS_MAX; i++) {
		uint64_t left = reading->end - reading->at;
		enum error error;

		if (left < sizeof tag)
			return refuse(reading, ERR_BAD_IMAGE,
				      "does not end with the tag for it");
		image_read(&reading->load->request.kernel, reading->at, &tag,
			   sizeof tag);
		if (tag.size < sizeof tag || tag.size > left)
			return refuse(reading, ERR_BAD_IMAGE,
				      "has a tag of a wrong size");
		if (tag.type == HEADER_END)
			return ERR_NONE;
		error = take_tag(reading, &tag);
		if (error)
			return error;
		left = round_up((uint64_t)tag.size, 8);
		reading->at += left < reading->end - reading->at ?
				       left :
				       reading->end - reading->at;
	}
	return refuse(reading, ERR_UNSUPPORTED, "has more than 32 tags");
}

static enum error read_header(struct reading *reading)
{
	const struct load_image *image = &reading->load->request.kernel;
	uint64_t start = load_work(reading->load)->header;
	uint64_t there = image->record->size < MULTIBOOT2_SEARCH ?
				 image->record->size :
				 MULTIBOOT2_SEARCH;
	struct header header;

	image_read(image, start, &header, sizeof header);
	if (header.architecture != ARCHITECTURE_I386)
		return refuse(reading, ERR_UNSUPPORTED,
			      "is for another processor");
	if (header.length < sizeof header || header.length > there - start)
		return refuse(reading, ERR_BAD_IMAGE,
			      "does not end within the first 32 KiB");
	reading->at = start + sizeof header;
	reading->end = start + header.length;
	return read_tags(reading);
}

enum error multiboot2_check(struct load *load)
{
	struct reading reading = { .load = load };
	enum error error = read_header(&reading);

	if (error)
		return error;
	if (!reading.has_address)
		error = multiboot_place_elf(
			load, reading.has_entry ? &reading.entry : NULL);
	else if (!reading.has_entry)
		error = refuse(&reading, ERR_BAD_IMAGE,
			       "says where the kernel lies, but not where it "
			       "is entered");
	else
		error = multiboot_place(load, &reading.address, reading.entry);
	load_work(load)->relocatable = reading.relocatable;
	return error ? error : modules_place(load);
}

/* ---- tables ------------------------------------------------------------- */

struct info_tag {
	uint32_t type, size;
};

/* Tags are written one behind the other; each begins at a multiple of 8. */
struct writing {
	struct load *load;
	uint64_t at;
	enum error error;
};

#define INFO_END_AT LOW_COMMAND_LINE /* of the page */

/* A tag of @head's bytes, and @body's behind them. */
static void add(struct writing *writing, uint32_t type, const void *head,
		size_t head_size, const void *body, size_t body_size)
{
	const struct guest_memory *memory = writing->load->request.memory;
	const struct info_tag tag = { type, (uint32_t)(sizeof tag + head_size +
						       body_size) };
	uint64_t at = writing->at;

	if (tag.size > INFO_END_AT - at)
		writing->error = ERR_TOO_LARGE;
	if (!writing->error)
		writing->error = guest_write(memory, gpa(at), &tag, sizeof tag);
	if (!writing->error)
		writing->error = guest_write(memory, gpa(at + sizeof tag), head,
					     head_size);
	if (!writing->error)
		writing->error = guest_write(memory,
					     gpa(at + sizeof tag + head_size),
					     body, body_size);
	if (!writing->error)
		writing->at = at + round_up((uint64_t)tag.size, 8);
}

static void add_modules(struct writing *writing)
{
	struct load *load = writing->load;
	const struct load_work *work = load_work(load);

	for (uint32_t i = 0; i < modules_count(load); i++) {
		const struct load_piece *piece =
			&work->pieces[work->first_module + i];
		const uint32_t place[] = {
			(uint32_t)piece->to, (uint32_t)(piece->to + piece->size)
		};
		char words[sizeof(((struct mull_module *)0)->words)];
		size_t length = module_words(load, i, words);

		add(writing, INFO_MODULE, place, sizeof place, words,
		    length + 1);
	}
}

static void add_memory(struct writing *writing)
{
	struct load *load = writing->load;
	struct memory_range ranges[MEMORY_RANGES];
	uint32_t count = memory_ranges(&load->request, ranges);
	const uint32_t sizes[] = { multiboot_lower(), multiboot_upper(load) };
	const uint32_t format[] = { sizeof ranges[0], 0 /* version */ };

	add(writing, INFO_MEMORY, sizes, sizeof sizes, NULL, 0);
	add(writing, INFO_MAP, format, sizeof format, ranges,
	    count * sizeof ranges[0]);
}

/* The two forms of ACPI: 20 bytes, and 36. */
static void add_rsdp(struct writing *writing)
{
	uint8_t rsdp[36];

	if (!writing->error)
		writing->error = guest_read(writing->load->request.memory,
					    gpa(MULL_GUEST_ACPI_AREA), rsdp,
					    sizeof rsdp);
	add(writing, INFO_RSDP_OLD, rsdp, 20, NULL, 0);
	add(writing, INFO_RSDP_NEW, rsdp, sizeof rsdp, NULL, 0);
}

/* The kernel is not moved: where it asks to lie. */
static void add_load_base(struct writing *writing)
{
	const struct load_work *work = load_work(writing->load);
	uint32_t base = ~0u;

	for (uint32_t i = 0; i < work->first_module; i++)
		if (base > work->pieces[i].to)
			base = (uint32_t)work->pieces[i].to;
	add(writing, INFO_LOAD_BASE, &base, sizeof base, NULL, 0);
}

enum error multiboot2_write_tables(struct load *load)
{
	struct writing writing = { .load = load, .at = LOW_INFO + 8 };
	const struct mull_vm *vm = load->request.vm;
	uint32_t head[2] = { 0 };

	add(&writing, INFO_COMMAND_LINE, vm->command_line,
	    command_line_length(vm), "", 1);
	add(&writing, INFO_LOADER_NAME, MULTIBOOT_LOADER,
	    sizeof MULTIBOOT_LOADER, NULL, 0);
	add_modules(&writing);
	add_memory(&writing);
	add_rsdp(&writing);
	if (load_work(load)->relocatable)
		add_load_base(&writing);
	add(&writing, INFO_END, NULL, 0, NULL, 0);
	head[0] = (uint32_t)(writing.at - LOW_INFO); /* in all */
	if (!writing.error)
		writing.error = guest_write(load->request.memory, gpa(LOW_INFO),
					    head, sizeof head);
	if (!writing.error)
		writing.error = multiboot_write_bios_data(load);
	load->start.rax = LOADED_BY_MULTIBOOT2;
	load->start.rbx = LOW_INFO;
	return writing.error;
}
