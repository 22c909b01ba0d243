/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "support_load.h"

#include <asm/bootparam.h>
#include <cmocka.h>
#include <glob.h>
#include <mullion/bits.h>
#include <mullion/images.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The smallest bzImage, of one setup sector and 300 KiB; and an initrd. */
#define PART KIB(300)
#define SIZE (1024 + PART)

static uint8_t image[SIZE];
static const uint8_t initrd[KIB(80)] = "cpio";
static struct load_guest guest;

static int fresh(void **state)
{
	struct setup_header *header = (void *)(image + 0x1f1);

	(void)state;
	*header = (struct setup_header){
		.setup_sects = 1,
		.syssize = PART / 16,
		.boot_flag = 0xaa55,
		.jump = 0x6aeb,
		.header = 0x53726448,
		.version = 0x020f,
		.loadflags = LOADED_HIGH,
		.initrd_addr_max = 0x7fffffff,
		.xloadflags = XLF_KERNEL_64,
		.cmdline_size = 2047,
		.pref_address = MIB(2),
	};
	load_guest_make(&guest, MIB(4), 0);
	return 0;
}

static enum error run(uint32_t kind)
{
	return load_guest_run(&guest, kind, image, SIZE, initrd, sizeof initrd);
}

static void steps_are_small(void **state)
{
	(void)state;
	assert_int_equal(run(MULL_IMAGE_BZIMAGE), ERR_NONE);
	/* A KiB hashed, or 64 KiB copied; what is left changes the phase.
	 * There are neither modules nor disks, and no header to look for. */
	assert_int_equal(guest.steps,
			 300 + 1 + 80 + 1 + 1 + 1 + 1 + 5 + 2 + 1 + 3);
}

static void start_is_in_long_mode(void **state)
{
	(void)state;
	assert_int_equal(run(MULL_IMAGE_BZIMAGE), ERR_NONE);
	load_guest_check_long_mode(&guest);
	/* __BOOT_CS and __BOOT_DS */
	assert_int_equal(guest.load.start.cs, 0x10);
	assert_int_equal(guest.load.start.ds, 0x18);
	assert_true(guest.load.start.cr3 < 0x9f000);
	assert_true(guest.load.start.rsi + 4096 <= 0x9f000);
	assert_int_equal(guest.load.start.rsi % 4096, 0);
}

static void acpi_lists_every_vcpu(void **state)
{
	(void)state;
	guest.vm.vcpu_count = 5;
	assert_int_equal(run(MULL_IMAGE_BZIMAGE), ERR_NONE);
	assert_int_equal(load_guest_check_acpi(&guest), 5);
}

/* The machine's own mistake: a VM without the memory that it should have. */
static void missing_memory_is_said(void **state)
{
	(void)state;
	guest.memory.regions[0].size = MIB(2);
	assert_int_equal(run(MULL_IMAGE_BZIMAGE), ERR_BAD_ADDRESS);
	assert_string_equal(guest.load.words,
			    "cannot be loaded at 0x200000: the VM has no "
			    "memory there");
	guest.memory.regions[0].start = gpa(MIB(2));
	assert_int_equal(run(MULL_IMAGE_BZIMAGE), ERR_BAD_ADDRESS);
}

static void command_line_without_end_gets_one(void **state)
{
	char line[MULL_COMMAND_LINE_MAX];
	uint32_t at;

	(void)state;
	memset(guest.vm.command_line, 'x', sizeof guest.vm.command_line);
	assert_int_equal(run(MULL_IMAGE_BZIMAGE), ERR_NONE);
	load_guest_read(&guest,
			guest.load.start.rsi +
				offsetof(struct boot_params, hdr.cmd_line_ptr),
			&at, sizeof at);
	load_guest_read(&guest, at, line, sizeof line);
	assert_int_equal(strnlen(line, sizeof line), sizeof line - 1);
}

static void unknown_kind_is_refused(void **state)
{
	bool done = true;

	(void)state;
	assert_int_equal(run(99), ERR_BAD_IMAGE);
	/* It stays an error; the images are gone by now. */
	assert_int_equal(load_step(&guest.load, &done), ERR_BAD_IMAGE);
	assert_false(done);
	assert_string_equal(guest.load.words,
			    "kernel: an image of kind 99 cannot be started");
}

/* Loads again with one bit of the hash in @record wrong. */
static enum error run_damaged(struct mull_image *record)
{
	struct load_request request = {
		.memory = &guest.memory,
		.vm = &guest.vm,
		.kernel = { &guest.kernel, image },
		.initrd = { &guest.initrd, initrd },
		.memory_low = MIB(4),
	};
	enum error error;
	bool done;

	/* Makes the records, and stops before it writes. */
	load_guest_make(&guest, MIB(4), 0);
	assert_int_equal(run(99), ERR_BAD_IMAGE);
	guest.kernel.kind = MULL_IMAGE_BZIMAGE;
	record->sha256[31] ^= 1;
	load_begin(&guest.load, &request);
	while (!(error = load_step(&guest.load, &done)))
		assert_false(done);
	return error;
}

static void damaged_images_are_named(void **state)
{
	uint8_t dirt;

	(void)state;
	assert_int_equal(run_damaged(&guest.initrd), ERR_BAD_HASH);
	assert_string_equal(guest.load.words, "initrd: the SHA-256 does not "
					      "match the package's");
	assert_int_equal(run_damaged(&guest.kernel), ERR_BAD_HASH);
	assert_string_equal(guest.load.words, "kernel: the SHA-256 does not "
					      "match the package's");
	/* Nothing was written before the hashes held. */
	load_guest_read(&guest, MIB(2), &dirt, 1);
	assert_int_equal(dirt, 0xcc);
}

static void missing_images_are_named(void **state)
{
	struct load_request request = { .memory = &guest.memory,
					.vm = &guest.vm };
	bool done = true;

	(void)state;
	load_begin(&guest.load, &request);
	assert_int_equal(load_step(&guest.load, &done), ERR_NOT_FOUND);
	assert_false(done);
	assert_string_equal(guest.load.words, "kernel: there is none");
	request.kernel.record = &guest.kernel;
	load_begin(&guest.load, &request);
	assert_int_equal(load_step(&guest.load, &done), ERR_BAD_IMAGE);
	assert_string_equal(guest.load.words, "kernel: the image is damaged");
}

/* ---- disks --------------------------------------------------------------- */

static struct mull_image disk_records[2];
static const uint8_t disk_bytes[2][3072] = { "root", "data" };

/* Loads with disks 0, 2 and 3 of images 3 and 4, and 3 again. */
static enum error run_with_disks(uint32_t *steps)
{
	struct load_request request = {
		.memory = &guest.memory,
		.vm = &guest.vm,
		.kernel = { .record = &guest.kernel, .bytes = image },
		.memory_low = MIB(4),
	};
	enum error error;
	bool done = false;

	load_guest_make(&guest, MIB(4), 0);
	assert_int_equal(run(99), ERR_BAD_IMAGE); /* makes the record */
	guest.kernel.kind = MULL_IMAGE_BZIMAGE;
	for (uint32_t i = 0; i < 3; i++) {
		uint32_t disk = i ? i + 1 : 0; /* one was detached */

		guest.vm.disks[disk].kind = MULL_DISK_MEMORY;
		guest.vm.disks[disk].image = 3 + i % 2;
		request.disks[disk] = (struct load_image){
			.record = &disk_records[i % 2],
			.bytes = disk_bytes[i % 2],
		};
	}
	load_begin(&guest.load, &request);
	*steps = 0;
	do {
		error = load_step(&guest.load, &done);
		++*steps;
	} while (!error && !done);
	return error;
}

static void make_disk_records(void)
{
	for (uint32_t i = 0; i < 2; i++) {
		disk_records[i].size = sizeof disk_bytes[i];
		SHA256(disk_bytes[i], sizeof disk_bytes[i],
		       disk_records[i].sha256);
	}
}

static void disks_are_hashed_once(void **state)
{
	uint32_t first, second;

	(void)state;
	make_disk_records();
	disk_records[1].sha256[0] ^= 1;
	assert_int_equal(run_with_disks(&first), ERR_BAD_HASH);
	assert_string_equal(guest.load.words, "disk 2: the SHA-256 does not "
					      "match the package's");
	assert_true(image_is_verified(3));
	assert_false(image_is_verified(4));
	/* It stays wrong until it is right. */
	assert_int_equal(run_with_disks(&first), ERR_BAD_HASH);
	disk_records[1].sha256[0] ^= 1;
	assert_int_equal(run_with_disks(&first), ERR_NONE);
	assert_true(image_is_verified(4));
	assert_int_equal(run_with_disks(&second), ERR_NONE);
	assert_int_equal(first - second, 3 - 1); /* KiB of image 4; a look */
}

static void damaged_disks_are_named(void **state)
{
	struct load_request request = {
		.memory = &guest.memory,
		.vm = &guest.vm,
		.kernel = { .record = &guest.kernel, .bytes = image },
		.disks[0].record = &disk_records[0],
	};
	enum error error;
	bool done = false;

	(void)state;
	make_disk_records();
	assert_int_equal(run(99), ERR_BAD_IMAGE);
	guest.kernel.kind = MULL_IMAGE_BZIMAGE;
	guest.vm.disks[0].image = 5;
	load_begin(&guest.load, &request);
	while (!(error = load_step(&guest.load, &done)))
		assert_false(done);
	assert_int_equal(error, ERR_BAD_IMAGE);
	assert_string_equal(guest.load.words, "disk 0: the image is damaged");
}

/* ---- real images --------------------------------------------------------- */

static char *read_file(const char *path, uint64_t *size)
{
	FILE *file = fopen(path, "rb");
	char *bytes;

	assert_non_null(file);
	fseek(file, 0, SEEK_END);
	*size = (uint64_t)ftell(file);
	rewind(file);
	bytes = malloc(*size);
	assert_int_equal(fread(bytes, 1, *size, file), *size);
	fclose(file);
	return bytes;
}

/* What lies under build/ may not be there yet; then it says so. */
static void try_files(uint32_t kind, const char *const patterns[3])
{
	glob_t found = { 0 };

	for (int i = 0; i < 3; i++)
		glob(patterns[i], i ? GLOB_APPEND : 0, NULL, &found);
	if (found.gl_pathc == 0)
		print_message("no %s: nothing was tried\n", patterns[0]);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		uint64_t size;
		char *bytes = read_file(found.gl_pathv[i], &size);

		load_guest_make(&guest, MIB(256), 0);
		if (load_guest_run(&guest, kind, bytes, size, NULL, 0))
			fail_msg("%s: %s", found.gl_pathv[i], guest.load.words);
		print_message("%s starts at 0x%lx\n", found.gl_pathv[i],
			      (unsigned long)guest.load.start.rip);
		free(bytes);
	}
	globfree(&found);
}

static void debians_kernels_are_accepted(void **state)
{
	(void)state;
	try_files(MULL_IMAGE_BZIMAGE,
		  (const char *[]){ "build/vmlinuz*", "build/*/vmlinuz*",
				    "build/*/*/vmlinuz*" });
}

static void guests_of_the_sdk_are_accepted(void **state)
{
	(void)state;
	try_files(MULL_IMAGE_ELF64,
		  (const char *[]){ "build/guests/*.elf",
				    "build/guests/*/*.elf", "" });
}

static void guests_of_packages_are_accepted(void **state)
{
	(void)state;
	try_files(MULL_IMAGE_PVH,
		  (const char *[]){ "build/vmlinux", "build/guests/boot32.*",
				    "" });
	try_files(MULL_IMAGE_MULTIBOOT,
		  (const char *[]){ "build/kernels/foreign/*.multiboot",
				    "build/guests/boot32.*", "" });
	try_files(MULL_IMAGE_MULTIBOOT2,
		  (const char *[]){ "build/kernels/foreign/xen*",
				    "build/guests/boot32.*", "" });
}

#define TEST(test) cmocka_unit_test_setup(test, fresh)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(steps_are_small),
		TEST(start_is_in_long_mode),
		TEST(acpi_lists_every_vcpu),
		TEST(missing_memory_is_said),
		TEST(command_line_without_end_gets_one),
		TEST(unknown_kind_is_refused),
		TEST(damaged_images_are_named),
		TEST(missing_images_are_named),
		TEST(disks_are_hashed_once),
		TEST(damaged_disks_are_named),
		TEST(debians_kernels_are_accepted),
		TEST(guests_of_the_sdk_are_accepted),
		TEST(guests_of_packages_are_accepted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
