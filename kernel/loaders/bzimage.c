/* SPDX-License-Identifier: MIT */
/*
 * Linux's bzImage by the 64-bit boot protocol.  Linux, "The Linux/x86 Boot
 * Protocol" (Documentation/arch/x86/boot.rst): "The Real-Mode Kernel Header",
 * "Details of Header Fields", "64-bit Boot Protocol"; and "Zero Page"
 * (Documentation/arch/x86/zero-page.rst).
 */
#include "loader.h"

#include <mullion/bits.h>
#include <mullion/guest.h>
#include <mullion/log.h>
#include <string.h>

/* Fields of the header, at the same place in the image and in the zero page,
 * with their sizes in bytes. */
struct field {
	uint16_t at, size;
};

static const struct field setup_sects = { 0x1f1, 1 };
static const struct field syssize = { 0x1f4, 4 }; /* in 16 bytes */
static const struct field boot_flag = { 0x1fe, 2 };
static const struct field jump_length = { 0x201, 1 };
static const struct field magic = { 0x202, 4 };
static const struct field version = { 0x206, 2 };
static const struct field type_of_loader = { 0x210, 1 };
static const struct field loadflags = { 0x211, 1 };
static const struct field code32_start = { 0x214, 4 };
static const struct field ramdisk_image = { 0x218, 4 };
static const struct field ramdisk_size = { 0x21c, 4 };
static const struct field cmd_line_ptr = { 0x228, 4 };
static const struct field initrd_addr_max = { 0x22c, 4 };
static const struct field xloadflags = { 0x236, 2 };
static const struct field cmdline_size = { 0x238, 4 };
static const struct field setup_data = { 0x250, 8 };
static const struct field pref_address = { 0x258, 8 };
static const struct field init_size = { 0x260, 4 };

/* Fields of the zero page alone. */
static const struct field acpi_rsdp_addr = { 0x070, 8 };
static const struct field alt_mem_k = { 0x1e0, 4 };
static const struct field e820_entries = { 0x1e8, 1 };
#define E820_TABLE 0x2d0

#define HEADER_START 0x1f1
#define HEADER_COUNTS_FROM 0x202 /* the jump's length goes from here */
#define HEADER_END_MIN 0x264	 /* with init_size, of version 2.10 */
#define HEADER_END_MAX 0x290	 /* what follows in the zero page */

#define BOOT_FLAG 0xaa55
#define MAGIC 0x53726448   /* "HdrS" */
#define VERSION_MIN 0x020c /* the first with xloadflags */
#define LOADED_HIGH BIT(0)
#define XLF_KERNEL_64 BIT(0)
#define LOADER_WITHOUT_ID 0xff
#define SECTOR 512
#define ENTRY_64 0x200 /* from the start of the protected-mode kernel */

struct __attribute__((packed)) e820_entry {
	uint64_t start, size;
	uint32_t type;
};

/* ---- check -------------------------------------------------------------- */

static uint64_t get(const struct load *load, struct field field)
{
	uint64_t value = 0;

	image_read(&load->request.kernel, field.at, &value, field.size);
	return value;
}

static uint64_t header_end(const struct load *load)
{
	return HEADER_COUNTS_FROM + get(load, jump_length);
}

static enum error check_header(struct load *load)
{
	size_t line = command_line_length(load->request.vm);
	const char *missing = NULL;

	if (load->request.kernel.record->size < HEADER_END_MAX)
		missing = "too short for its header";
	else if (get(load, boot_flag) != BOOT_FLAG)
		missing = "no 0xaa55 at 0x1fe";
	else if (get(load, magic) != MAGIC)
		missing = "no \"HdrS\" at 0x202";
	else if (get(load, version) >= VERSION_MIN &&
		 header_end(load) < HEADER_END_MIN)
		missing = "its header ends too early";
	if (missing)
		return load_fail(load, ERR_BAD_IMAGE,
				 "kernel is no Linux bzImage: %s", missing);
	if (get(load, version) < VERSION_MIN)
		return load_fail(load, ERR_UNSUPPORTED,
				 "kernel: boot protocol %u.%02u is too old, it "
				 "must be 2.12 or later",
				 (unsigned)get(load, version) >> 8,
				 (unsigned)get(load, version) & 0xff);
	if (!(get(load, loadflags) & LOADED_HIGH))
		return load_fail(load, ERR_UNSUPPORTED,
				 "kernel is a zImage, not a bzImage");
	if (!(get(load, xloadflags) & XLF_KERNEL_64))
		return load_fail(load, ERR_UNSUPPORTED,
				 "kernel has no 64-bit entry point");
	if (line > get(load, cmdline_size))
		return load_fail(load, ERR_TOO_LARGE,
				 "the command line has %u bytes, but the "
				 "kernel takes %u",
				 (unsigned)line,
				 (unsigned)get(load, cmdline_size));
	return ERR_NONE;
}

/* The 64-bit part: what is behind the real-mode sectors. */
static enum error find_kernel(struct load *load)
{
	const struct load_image *image = &load->request.kernel;
	struct load_piece *piece = &load_work(load)->pieces[0];
	uint64_t sectors = get(load, setup_sects);
	uint64_t start = ((sectors ? sectors : 4) + 1) * SECTOR;
	uint64_t size = get(load, syssize) * 16;

	/* Its last paragraph may be shorter; a signature may follow it. */
	if (start >= image->record->size ||
	    size > round_up(image->record->size - start, 16))
		return load_fail(load, ERR_TRUNCATED,
				 "kernel ends at byte %lu, but its header says "
				 "%lu",
				 (unsigned long)image->record->size,
				 (unsigned long)(start + size));
	if (size <= ENTRY_64)
		return load_fail(load, ERR_BAD_IMAGE,
				 "kernel ends before its entry point");
	if (size > image->record->size - start)
		size = image->record->size - start;
	piece->image = image;
	piece->from = start;
	piece->copied = size;
	piece->size = size;
	return ERR_NONE;
}

/*
 * Always at its preferred address: a relocatable kernel that is loaded below
 * moves itself there, and above it only wastes memory.  Sets @end to where
 * the memory ends that it needs before it reads the memory map.
 */
static enum error place_kernel(struct load *load, uint64_t *end)
{
	struct load_piece *piece = &load_work(load)->pieces[0];
	uint64_t low = load->request.memory_low;
	uint64_t need = get(load, init_size);

	if (need < piece->size)
		need = piece->size;
	piece->to = get(load, pref_address);
	if (piece->to < MIB(1))
		return load_fail(load, ERR_BAD_IMAGE,
				 "kernel wants to lie at 0x%lx, below 1 MiB",
				 (unsigned long)piece->to);
	if (piece->to > low || need > low - piece->to)
		return load_fail(load, ERR_TOO_LARGE,
				 "kernel needs %lu MiB at 0x%lx, but the VM "
				 "has %lu MiB of memory",
				 (unsigned long)((need + MIB(1) - 1) / MIB(1)),
				 (unsigned long)piece->to,
				 (unsigned long)(low / MIB(1)));
	*end = piece->to + need;
	load->start.rip = piece->to + ENTRY_64;
	load_work(load)->piece_count = 1;
	return ERR_NONE;
}

/* As high as it may be, out of the way of the kernel that unpacks itself. */
static enum error place_initrd(struct load *load, uint64_t kernel_end)
{
	const struct load_image *initrd = &load->request.initrd;
	struct load_work *work = load_work(load);
	uint64_t bottom = round_up(kernel_end, PAGE_SIZE);
	uint64_t top = get(load, initrd_addr_max) + 1;
	uint64_t size;

	if (!initrd->record)
		return ERR_NONE;
	size = initrd->record->size;
	if (top > load->request.memory_low)
		top = load->request.memory_low;
	if (bottom > top || size > top - bottom)
		return load_fail(load, ERR_TOO_LARGE,
				 "initrd of %lu KiB does not fit between the "
				 "kernel's end at 0x%lx and 0x%lx",
				 (unsigned long)((size + 1023) / 1024),
				 (unsigned long)bottom, (unsigned long)top);
	work->pieces[work->piece_count++] = (struct load_piece){
		.to = round_down(top - size, PAGE_SIZE),
		.image = initrd,
		.copied = size,
		.size = size,
	};
	return ERR_NONE;
}

enum error bzimage_check(struct load *load)
{
	uint64_t kernel_end = 0;
	enum error error = check_header(load);

	if (!error)
		error = find_kernel(load);
	if (!error)
		error = place_kernel(load, &kernel_end);
	return error ? error : place_initrd(load, kernel_end);
}

/* ---- zero page ---------------------------------------------------------- */

/* Writes one field of the zero page, unless an earlier one failed. */
static void set(struct load *load, enum error *error, struct field field,
		uint64_t value)
{
	if (!*error)
		*error = guest_write(load->request.memory,
				     gpa(LOW_INFO + field.at), &value,
				     field.size);
}

static void copy_header(struct load *load, enum error *error)
{
	uint64_t end = header_end(load);
	uint8_t header[HEADER_END_MAX - HEADER_START];

	if (end > HEADER_END_MAX)
		end = HEADER_END_MAX;
	image_read(&load->request.kernel, HEADER_START, header,
		   end - HEADER_START);
	*error = guest_write(load->request.memory, gpa(LOW_INFO + HEADER_START),
			     header, end - HEADER_START);
}

static void write_memory_map(struct load *load, enum error *error)
{
	const struct load_request *request = &load->request;
	struct memory_range ranges[MEMORY_RANGES];
	uint32_t count = memory_ranges(request, ranges);
	struct e820_entry map[MEMORY_RANGES];

	for (uint32_t i = 0; i < count; i++)
		map[i] = (struct e820_entry){ ranges[i].start, ranges[i].size,
					      ranges[i].type };
	set(load, error, e820_entries, count);
	set(load, error, alt_mem_k, (request->memory_low - MIB(1)) / KIB(1));
	if (!*error)
		*error = guest_write(request->memory,
				     gpa(LOW_INFO + E820_TABLE), map,
				     count * sizeof map[0]);
}

enum error bzimage_write_tables(struct load *load)
{
	const struct load_request *request = &load->request;
	const struct load_work *work = load_work(load);
	/* Where there is no initrd its piece is zero. */
	const struct load_piece *initrd = &work->pieces[1];
	enum error error;

	/* The page is zero: no screen, no disks, no firmware to call. */
	copy_header(load, &error);
	set(load, &error, type_of_loader, LOADER_WITHOUT_ID);
	set(load, &error, code32_start, work->pieces[0].to);
	set(load, &error, cmd_line_ptr, LOW_COMMAND_LINE);
	set(load, &error, ramdisk_image, initrd->to);
	set(load, &error, ramdisk_size, initrd->size);
	set(load, &error, setup_data, 0);
	set(load, &error, acpi_rsdp_addr, MULL_GUEST_ACPI_AREA);
	write_memory_map(load, &error);
	/* The page of the command line is zero, too, and ends it. */
	if (!error)
		error = guest_write(request->memory, gpa(LOW_COMMAND_LINE),
				    request->vm->command_line,
				    command_line_length(request->vm));
	load->start.rsi = LOW_INFO;
	return error;
}
