/* SPDX-License-Identifier: MIT */
#include "loader.h"

#include <mullion/arch.h>
#include <mullion/bits.h>
#include <mullion/guest.h>
#include <mullion/images.h>
#include <mullion/log.h>
#include <mullion/manage.h>
#include <string.h>

#define HASH_STEP KIB(1)
#define COPY_STEP KIB(64) /* one string instruction */

enum error load_fail(struct load *load, enum error error, const char *format,
		     ...)
{
	va_list arguments;

	va_start(arguments, format);
	format_text_list(load->words, sizeof load->words, format, arguments);
	va_end(arguments);
	return error;
}

size_t command_line_length(const struct mull_vm *vm)
{
	const char *end = memchr(vm->command_line, 0, MULL_COMMAND_LINE_MAX);

	return end ? (size_t)(end - vm->command_line) :
		     MULL_COMMAND_LINE_MAX - 1;
}

static void next_phase(struct load_work *work)
{
	work->phase++;
	work->at = 0;
}

/* ---- hashes ------------------------------------------------------------- */

/* BearSSL's code uses vector registers.  @digest: NULL, or what is hashed so
 * far; it costs as much as another piece of 64 bytes. */
static void hash_piece(struct load_work *work, const struct load_image *image,
		       uint64_t length, uint8_t *digest)
{
	/* Steps divide a frame: all of it can be seen. */
	const uint8_t *bytes = image_at(image, work->at, &length);

	arch_fpu_begin();
	if (work->at == 0)
		br_sha256_init(&work->sha256);
	br_sha256_update(&work->sha256, bytes, length);
	if (digest)
		br_sha256_out(&work->sha256, digest);
	arch_fpu_end();
}

/* @done: set when it has been right to its end. */
static enum error hash_step(struct load *load, const struct load_image *image,
			    const char *what, bool *done)
{
	struct load_work *work = load_work(load);
	uint64_t left;
	uint8_t digest[br_sha256_SIZE];

	if (!image_is_there(image))
		return load_fail(load, ERR_BAD_IMAGE,
				 "%s: the image is damaged", what);
	left = image->record->size - work->at;
	if (left > HASH_STEP) {
		hash_piece(work, image, HASH_STEP, NULL);
		work->at += HASH_STEP;
		return ERR_NONE;
	}
	hash_piece(work, image, left, digest);
	if (memcmp(digest, image->record->sha256, sizeof digest))
		return load_fail(load, ERR_BAD_HASH,
				 "%s: the SHA-256 does not match the package's",
				 what);
	ledger_note(arch_time(), "%.31s: %s's SHA-256 is right",
		    load->request.vm->name, what);
	*done = true;
	return ERR_NONE;
}

static enum error hash_kernel_step(struct load *load)
{
	bool done = false;
	enum error error;

	if (!load->request.kernel.record)
		return load_fail(load, ERR_NOT_FOUND, "kernel: there is none");
	error = hash_step(load, &load->request.kernel, "kernel", &done);
	if (done)
		next_phase(load_work(load));
	return error;
}

static enum error hash_initrd_step(struct load *load)
{
	bool done = !load->request.initrd.record;
	enum error error = ERR_NONE;

	if (!done)
		error = hash_step(load, &load->request.initrd, "initrd", &done);
	if (done)
		next_phase(load_work(load));
	return error;
}

static enum error hash_modules_step(struct load *load)
{
	struct load_work *work = load_work(load);
	const struct load_image *image = &load->request.modules[work->module];
	bool done = false;
	enum error error;
	char what[16];

	if (work->module == load->request.vm->module_count) {
		next_phase(work);
		return ERR_NONE;
	}
	format_text(what, sizeof what, "module %u", work->module + 1);
	if (!image->record)
		return load_fail(load, ERR_NOT_FOUND, "%s: there is none",
				 what);
	error = hash_step(load, image, what, &done);
	if (done) {
		work->module++;
		work->at = 0;
	}
	return error;
}

/* They can be large, and are not copied: once since the start is enough. */
static enum error hash_disks_step(struct load *load)
{
	struct load_work *work = load_work(load);
	const struct load_image *image = &load->request.disks[work->disk];
	char what[] = "disk 0";
	bool done = false;
	uint32_t number;
	enum error error;

	while (work->disk < MULL_DISK_MAX && !image->record) {
		work->disk++;
		image++;
	}
	if (work->disk == MULL_DISK_MAX) {
		/* It was about a disk alone. */
		if (!load->request.memory)
			work->phase = LOAD_DONE;
		else
			next_phase(work);
		return ERR_NONE;
	}
	number = load->request.vm->disks[work->disk].image;
	if (image_is_verified(number)) {
		work->disk++;
		return ERR_NONE;
	}
	what[sizeof what - 2] += (char)work->disk;
	error = hash_step(load, image, what, &done);
	if (done) {
		image_set_verified(number);
		work->disk++;
		work->at = 0;
	}
	return error;
}

/* ---- check, copy -------------------------------------------------------- */

static const struct kind {
	enum error (*find_step)(struct load *load, bool *found); /* or NULL */
	enum error (*check)(struct load *load);
	/* These two are NULL for what starts as at power-on. */
	enum error (*write_mode)(const struct guest_memory *memory,
				 struct guest_start *start);
	enum error (*write_tables)(struct load *load);
	uint32_t low_end; /* of what the loader makes */
} kinds[] = {
	[MULL_IMAGE_BZIMAGE] = { NULL, bzimage_check, long_mode_write,
				 bzimage_write_tables, LOW_END },
	[MULL_IMAGE_ELF64] = { NULL, elf64_check, long_mode_write,
			       elf64_write_tables, LOW_END },
	[MULL_IMAGE_PVH] = { NULL, pvh_check, protected_mode_write,
			     pvh_write_tables, LOW_END_PROTECTED },
	[MULL_IMAGE_MULTIBOOT] = { multiboot_find_step, multiboot_check,
				   protected_mode_write, multiboot_write_tables,
				   LOW_END_PROTECTED },
	[MULL_IMAGE_MULTIBOOT2] = { multiboot_find_step, multiboot2_check,
				    protected_mode_write,
				    multiboot2_write_tables,
				    LOW_END_PROTECTED },
	[MULL_IMAGE_FIRMWARE] = { NULL, firmware_check, NULL, NULL, 0 },
};

/* NULL: not a kernel's. */
static const struct kind *kind_of(const struct load *load)
{
	uint32_t kind = load->request.kernel.record->kind;

	return kind < ARRAY_COUNT(kinds) && kinds[kind].check ? &kinds[kind] :
								NULL;
}

const char *place_problem(struct load *load, uint64_t at, uint64_t size)
{
	const struct load_work *work = load_work(load);
	uint64_t low = load->request.memory_low;

	if (at > low || size > low - at)
		return "reaches beyond the VM's memory below 4 GiB";
	if (at < kind_of(load)->low_end)
		return kind_of(load)->low_end == LOW_END ?
			       "lies below 64 KiB, where the loader puts its "
			       "tables" :
			       "lies below 32 KiB, where the loader puts its "
			       "tables";
	if (overlap(at, size, MULL_GUEST_ACPI_AREA,
		    MIB(1) - MULL_GUEST_ACPI_AREA))
		return "lies over the ACPI tables from 0xe0000 to 1 MiB";
	for (uint32_t i = 0; i < work->piece_count; i++)
		if (overlap(at, size, work->pieces[i].to, work->pieces[i].size))
			return "overlaps another one";
	return NULL;
}

static enum error find_step(struct load *load)
{
	struct load_work *work = load_work(load);
	const struct kind *kind = kind_of(load);
	bool found = true;
	enum error error = ERR_NONE;

	if (!kind)
		return load_fail(load, ERR_BAD_IMAGE,
				 "kernel: an image of kind %u cannot be "
				 "started",
				 load->request.kernel.record->kind);
	if (kind->find_step)
		error = kind->find_step(load, &found);
	if (error || !found)
		return error;
	work->header = work->at;
	next_phase(work);
	return ERR_NONE;
}

static enum error check_step(struct load *load)
{
	next_phase(load_work(load));
	return kind_of(load)->check(load);
}

/* The next bytes of @piece from @at on; returns how many, or 0. */
static uint64_t copy_some(const struct guest_memory *memory,
			  const struct load_piece *piece, uint64_t at)
{
	gpa_t to = gpa(piece->to + at);
	uint64_t left = piece->size - at;
	const uint8_t *from = NULL;
	enum error error;

	if (at < piece->copied)
		left = piece->copied - at;
	if (left > COPY_STEP)
		left = COPY_STEP;
	if (at < piece->copied)
		from = image_at(piece->image, piece->from + at, &left);
	error = from ? guest_write(memory, to, from, left) :
		       guest_zero(memory, to, left);
	return error ? 0 : left;
}

static enum error copy_step(struct load *load)
{
	struct load_work *work = load_work(load);
	const struct load_piece *piece = &work->pieces[work->piece];
	uint64_t done;

	if (work->piece == work->piece_count) {
		next_phase(work);
		return ERR_NONE;
	}
	done = copy_some(load->request.memory, piece, work->at);
	if (!done)
		return load_fail(load, ERR_BAD_ADDRESS,
				 "cannot be loaded at 0x%lx: the VM has no "
				 "memory there",
				 (unsigned long)(piece->to + work->at));
	work->at += done;
	if (work->at == piece->size) {
		work->piece++;
		work->at = 0;
	}
	return ERR_NONE;
}

/* ---- tables ------------------------------------------------------------- */

static enum error mode_step(struct load *load)
{
	const struct guest_memory *memory = load->request.memory;
	const struct kind *kind = kind_of(load);
	enum error error = ERR_NONE;

	next_phase(load_work(load));
	if (!kind->write_mode)
		return ERR_NONE;
	error = guest_zero(memory, gpa(0), kind->low_end);
	return error ? error : kind->write_mode(memory, &load->start);
}

/* Firmware has its own use for the usual place. */
static enum error acpi_step(struct load *load)
{
	const struct load_request *request = &load->request;
	uint64_t at = MULL_GUEST_ACPI_AREA;

	next_phase(load_work(load));
	if (load->start.mode == GUEST_AT_RESET)
		at = request->memory_low - MULL_GUEST_ACPI_SIZE;
	return guest_acpi_write(request->memory, at, request->vm);
}

static enum error kernel_tables_step(struct load *load)
{
	next_phase(load_work(load));
	return kind_of(load)->write_tables ? kind_of(load)->write_tables(load) :
					     ERR_NONE;
}

/* ---- the whole ---------------------------------------------------------- */

static enum error done_step(struct load *load)
{
	(void)load;
	return ERR_NONE;
}

static enum error (*const steps[])(struct load *load) = {
	[LOAD_HASH_KERNEL] = hash_kernel_step,
	[LOAD_HASH_INITRD] = hash_initrd_step,
	[LOAD_HASH_MODULES] = hash_modules_step,
	[LOAD_HASH_DISKS] = hash_disks_step,
	[LOAD_FIND] = find_step,
	[LOAD_CHECK] = check_step,
	[LOAD_COPY] = copy_step,
	[LOAD_MODE] = mode_step,
	[LOAD_ACPI] = acpi_step,
	[LOAD_KERNEL_TABLES] = kernel_tables_step,
	[LOAD_DONE] = done_step,
};

void load_begin(struct load *load, const struct load_request *request)
{
	memset(load, 0, sizeof *load);
	load->request = *request;
}

void load_begin_disk(struct load *load, const struct mull_vm *vm,
		     uint32_t index, struct load_image image)
{
	memset(load, 0, sizeof *load);
	load->request.vm = vm;
	load->request.disks[index] = image;
	load_work(load)->phase = LOAD_HASH_DISKS;
}

enum error load_step(struct load *load, bool *done)
{
	struct load_work *work = load_work(load);

	if (!work->failed)
		work->failed = steps[work->phase](load);
	if (work->failed && !load->words[0])
		load_fail(load, work->failed,
			  "the guest's tables cannot be made: %s",
			  error_text(work->failed));
	*done = !work->failed && work->phase == LOAD_DONE;
	return work->failed;
}
