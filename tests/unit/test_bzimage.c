/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "support_load.h"

#include <asm/bootparam.h>
#include <cmocka.h>
#include <kernel/loaders/loader.h>
#include <mullion/bits.h>
#include <mullion/guest.h>
#include <stdlib.h>
#include <string.h>

/* A bzImage as today's kernels are, on which each test makes one change: 5
 * sectors, a 64-bit part of 200,000 bytes, and a signature behind it.  The
 * fields are those of Linux's own header. */
#define SETUP (5 * 512)
#define PART 200000
#define SIGNATURE 100
#define SIZE (SETUP + PART + SIGNATURE)

static uint8_t image[SIZE];
static struct setup_header *const header = (void *)(image + 0x1f1);
static struct load_guest guest;
static struct boot_params params;

static int fresh(void **state)
{
	(void)state;
	srand(3);
	for (size_t i = 0; i < SIZE; i++)
		image[i] = (uint8_t)rand();
	*header = (struct setup_header){
		.setup_sects = 4,
		.syssize = PART / 16,
		.vid_mode = 0xffff,
		.boot_flag = 0xaa55,
		.jump = 0x6aeb, /* to 0x26c */
		.header = 0x53726448,
		.version = 0x020f,
		.loadflags = LOADED_HIGH,
		.code32_start = 0x100000,
		.initrd_addr_max = 0x7fffffff,
		.kernel_alignment = MIB(2),
		.relocatable_kernel = 1,
		.xloadflags = XLF_KERNEL_64 | XLF_CAN_BE_LOADED_ABOVE_4G,
		.cmdline_size = 2047,
		.payload_offset = 0x321,
		.setup_data = 0x1234,
		.pref_address = MIB(16),
		.init_size = MIB(8),
	};
	load_guest_make(&guest, MIB(32), 0);
	strcpy(guest.vm.command_line, "console=ttyS0 quiet");
	return 0;
}

static enum error run(void)
{
	enum error error = load_guest_run(&guest, MULL_IMAGE_BZIMAGE, image,
					  SIZE, NULL, 0);

	if (!error)
		load_guest_read(&guest, guest.load.start.rsi, &params,
				sizeof params);
	return error;
}

static void assert_refused(enum error error, const char *words)
{
	assert_int_equal(run(), error);
	assert_string_equal(guest.load.words, words);
}

/* ---- good ones ---------------------------------------------------------- */

static void kernel_lies_where_it_prefers(void **state)
{
	static uint8_t there[PART + 1];

	(void)state;
	assert_int_equal(run(), ERR_NONE);
	load_guest_read(&guest, MIB(16), there, sizeof there);
	assert_memory_equal(there, image + SETUP, PART);
	assert_int_equal(there[PART], 0xcc); /* no more than that */
	assert_int_equal(guest.load.start.rip, MIB(16) + 0x200);
}

static void boot_params_say_what_the_protocol_asks(void **state)
{
	char line[32];
	struct setup_header expected = *header;

	(void)state;
	assert_int_equal(run(), ERR_NONE);
	expected.type_of_loader = 0xff;
	expected.code32_start = MIB(16);
	expected.setup_data = 0;
	expected.cmd_line_ptr = params.hdr.cmd_line_ptr;
	/* The jump says that the header ends before kernel_info_offset. */
	assert_memory_equal(&params.hdr, &expected, sizeof expected);
	assert_int_equal(params.sentinel, 0);
	assert_int_equal(params.acpi_rsdp_addr, MULL_GUEST_ACPI_AREA);
	assert_int_equal(params.alt_mem_k, 31 * 1024);
	assert_int_equal(params.screen_info.orig_video_isVGA, 0);
	load_guest_read(&guest, params.hdr.cmd_line_ptr, line, sizeof line);
	assert_string_equal(line, "console=ttyS0 quiet");
}

/* Of a page that was dirty, nothing but the fields may be set. */
static void rest_of_boot_params_is_zero(void **state)
{
	const uint8_t *bytes = (const uint8_t *)&params;

	(void)state;
	assert_int_equal(run(), ERR_NONE);
	params.acpi_rsdp_addr = 0;
	params.alt_mem_k = 0;
	params.e820_entries = 0;
	memset(&params.hdr, 0, sizeof params.hdr);
	memset(params.e820_table, 0, 3 * sizeof params.e820_table[0]);
	for (size_t i = 0; i < sizeof params; i++)
		if (bytes[i])
			fail_msg("byte 0x%zx is 0x%x", i, bytes[i]);
}

static void assert_e820(int index, uint64_t start, uint64_t end, uint32_t type)
{
	assert_int_equal(params.e820_table[index].addr, start);
	assert_int_equal(params.e820_table[index].addr +
				 params.e820_table[index].size,
			 end);
	assert_int_equal(params.e820_table[index].type, type);
}

static void memory_map_is_what_the_vm_has(void **state)
{
	(void)state;
	assert_int_equal(run(), ERR_NONE);
	assert_int_equal(params.e820_entries, 3);
	assert_e820(0, 0, 0x9fc00, 1);
	assert_e820(1, 0xa0000, MIB(1), 2);
	assert_e820(2, MIB(1), MIB(32), 1);
}

static void memory_above_the_hole_is_listed(void **state)
{
	(void)state;
	load_guest_make(&guest, GIB(3), GIB(1));
	assert_int_equal(run(), ERR_NONE);
	assert_int_equal(params.e820_entries, 4);
	assert_e820(2, MIB(1), MULL_GUEST_MMIO_START, 1);
	assert_e820(3, GIB(4), GIB(5), 1);
	assert_int_equal(params.alt_mem_k, (GIB(3) - MIB(1)) / 1024);
}

static void older_header_is_copied_to_its_end(void **state)
{
	(void)state;
	header->version = 0x020c;
	header->jump = 0x66eb; /* to 0x268: no kernel_info_offset */
	header->kernel_info_offset = 0x99999999;
	assert_int_equal(run(), ERR_NONE);
	assert_int_equal(params.hdr.init_size, MIB(8));
	assert_int_equal(params.hdr.kernel_info_offset, 0);
}

/* A later header may be longer than today's, but not than the zero page. */
static void longer_header_stays_in_its_place(void **state)
{
	(void)state;
	image[0x201] = 0xff;
	assert_int_equal(run(), ERR_NONE);
	assert_memory_equal((uint8_t *)&params + 0x28f, image + 0x28f, 1);
	assert_int_equal(params.edd_mbr_sig_buffer[0], 0);
	assert_e820(0, 0, 0x9fc00, 1);
}

static void no_setup_sectors_mean_four(void **state)
{
	uint8_t there[64];

	(void)state;
	header->setup_sects = 0;
	assert_int_equal(run(), ERR_NONE);
	load_guest_read(&guest, MIB(16), there, sizeof there);
	assert_memory_equal(there, image + 5 * 512, sizeof there);
}

static void last_paragraph_may_be_short(void **state)
{
	static uint8_t there[PART];

	(void)state;
	header->syssize = (PART + SIGNATURE + 15) / 16;
	assert_int_equal(run(), ERR_NONE);
	load_guest_read(&guest, MIB(16), there, sizeof there);
	assert_memory_equal(there, image + SETUP, PART);
}

/* ---- initrd ------------------------------------------------------------- */

static enum error run_with_initrd(uint64_t size)
{
	static uint8_t initrd[MIB(9)], there[MIB(9)];
	enum error error;

	for (uint64_t i = 0; i < size; i++)
		initrd[i] = (uint8_t)(i * 13 + i / 256 + 1);
	error = load_guest_run(&guest, MULL_IMAGE_BZIMAGE, image, SIZE, initrd,
			       size);
	if (error)
		return error;
	load_guest_read(&guest, guest.load.start.rsi, &params, sizeof params);
	assert_int_equal(params.hdr.ramdisk_size, size);
	load_guest_read(&guest, params.hdr.ramdisk_image, there, size);
	assert_memory_equal(there, initrd, size);
	return ERR_NONE;
}

static void initrd_lies_at_the_top(void **state)
{
	(void)state;
	assert_int_equal(run_with_initrd(5000), ERR_NONE);
	assert_int_equal(params.hdr.ramdisk_image, MIB(32) - 8192);
}

static void initrd_stays_below_the_kernels_limit(void **state)
{
	(void)state;
	header->initrd_addr_max = MIB(28) - 1;
	assert_int_equal(run_with_initrd(4096), ERR_NONE);
	assert_int_equal(params.hdr.ramdisk_image, MIB(28) - 4096);
}

static void initrd_fits_exactly(void **state)
{
	(void)state;
	assert_int_equal(run_with_initrd(MIB(8)), ERR_NONE);
	assert_int_equal(params.hdr.ramdisk_image, MIB(24));
	assert_int_equal(run_with_initrd(MIB(8) + 1), ERR_TOO_LARGE);
	assert_string_equal(guest.load.words,
			    "initrd of 8193 KiB does not fit between the "
			    "kernel's end at 0x1800000 and 0x2000000");
	header->init_size = MIB(8) + 1; /* whole pages stay free for it */
	assert_int_equal(run_with_initrd(MIB(8) - 1), ERR_TOO_LARGE);
}

static void initrd_below_the_kernel_is_refused(void **state)
{
	(void)state;
	header->initrd_addr_max = MIB(4);
	assert_int_equal(run_with_initrd(100), ERR_TOO_LARGE);
}

static void no_initrd_is_said_as_zero(void **state)
{
	(void)state;
	header->ramdisk_image = 0x777;
	header->ramdisk_size = 0x888;
	assert_int_equal(run(), ERR_NONE);
	assert_int_equal(params.hdr.ramdisk_image, 0);
	assert_int_equal(params.hdr.ramdisk_size, 0);
}

/* ---- hostile ones ------------------------------------------------------- */

static void other_files_are_refused(void **state)
{
	(void)state;
	header->header = 0;
	assert_refused(ERR_BAD_IMAGE, "kernel is no Linux bzImage: no \"HdrS\" "
				      "at 0x202");
	header->boot_flag = 0;
	assert_refused(ERR_BAD_IMAGE, "kernel is no Linux bzImage: no 0xaa55 "
				      "at 0x1fe");
}

static void kernels_that_cannot_start_here_are_refused(void **state)
{
	(void)state;
	header->version = 0x020b;
	assert_refused(ERR_UNSUPPORTED, "kernel: boot protocol 2.11 is too "
					"old, it must be 2.12 or later");
	fresh(NULL);
	header->loadflags = 0;
	assert_refused(ERR_UNSUPPORTED, "kernel is a zImage, not a bzImage");
	fresh(NULL);
	header->xloadflags = 0xfffe;
	assert_refused(ERR_UNSUPPORTED, "kernel has no 64-bit entry point");
	fresh(NULL);
	image[0x201] = 0x61;
	assert_refused(ERR_BAD_IMAGE, "kernel is no Linux bzImage: its header "
				      "ends too early");
}

static void every_truncation_is_refused(void **state)
{
	(void)state;
	for (size_t size = 0; size < SETUP + PART; size += 1 + size / 7) {
		enum error error = load_guest_run(&guest, MULL_IMAGE_BZIMAGE,
						  image, size, NULL, 0);

		assert_int_equal(error,
				 size < 0x290 ? ERR_BAD_IMAGE : ERR_TRUNCATED);
	}
	assert_int_equal(load_guest_run(&guest, MULL_IMAGE_BZIMAGE, image,
					SETUP + PART - 16, NULL, 0),
			 ERR_TRUNCATED);
	assert_string_equal(guest.load.words, "kernel ends at byte 202544, but "
					      "its header says 202560");
	assert_int_equal(load_guest_run(&guest, MULL_IMAGE_BZIMAGE, image,
					SETUP + PART, NULL, 0),
			 ERR_NONE);
}

static void absurd_sizes_are_refused(void **state)
{
	(void)state;
	header->syssize = 0xffffffff;
	assert_refused(ERR_TRUNCATED, "kernel ends at byte 202660, but its "
				      "header says 68719479280");
	header->syssize = 0;
	assert_refused(ERR_BAD_IMAGE, "kernel ends before its entry point");
	header->syssize = 0x200 / 16;
	assert_refused(ERR_BAD_IMAGE, "kernel ends before its entry point");
}

static void kernel_must_fit_into_the_vm(void **state)
{
	(void)state;
	header->init_size = MIB(16);
	assert_int_equal(run(), ERR_NONE);
	header->init_size = MIB(16) + 1;
	assert_refused(ERR_TOO_LARGE, "kernel needs 17 MiB at 0x1000000, but "
				      "the VM has 32 MiB of memory");
	header->init_size = 0xffffffff;
	assert_refused(ERR_TOO_LARGE, "kernel needs 4096 MiB at 0x1000000, but "
				      "the VM has 32 MiB of memory");
	/* What is copied counts, whatever the header says that it needs. */
	header->init_size = 0;
	header->pref_address = MIB(32) - 4096;
	assert_int_equal(run(), ERR_TOO_LARGE);
}

static void absurd_addresses_are_refused(void **state)
{
	(void)state;
	header->pref_address = ~0ull;
	assert_int_equal(run(), ERR_TOO_LARGE);
	header->pref_address = 0ull - MIB(4);
	assert_int_equal(run(), ERR_TOO_LARGE);
	header->pref_address = MIB(64);
	assert_int_equal(run(), ERR_TOO_LARGE);
	header->pref_address = MIB(1) - 1;
	assert_refused(ERR_BAD_IMAGE, "kernel wants to lie at 0xfffff, below "
				      "1 MiB");
	header->pref_address = LOW_PAGE_TABLES;
	assert_int_equal(run(), ERR_BAD_IMAGE);
	header->pref_address = MIB(1);
	assert_int_equal(run(), ERR_NONE);
}

static void long_command_line_is_refused(void **state)
{
	(void)state;
	header->cmdline_size = 19;
	assert_int_equal(run(), ERR_NONE);
	header->cmdline_size = 18;
	assert_refused(ERR_TOO_LARGE, "the command line has 19 bytes, but the "
				      "kernel takes 18");
}

#define TEST(test) cmocka_unit_test_setup(test, fresh)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(kernel_lies_where_it_prefers),
		TEST(boot_params_say_what_the_protocol_asks),
		TEST(rest_of_boot_params_is_zero),
		TEST(memory_map_is_what_the_vm_has),
		TEST(memory_above_the_hole_is_listed),
		TEST(older_header_is_copied_to_its_end),
		TEST(longer_header_stays_in_its_place),
		TEST(no_setup_sectors_mean_four),
		TEST(last_paragraph_may_be_short),
		TEST(initrd_lies_at_the_top),
		TEST(initrd_stays_below_the_kernels_limit),
		TEST(initrd_fits_exactly),
		TEST(initrd_below_the_kernel_is_refused),
		TEST(no_initrd_is_said_as_zero),
		TEST(other_files_are_refused),
		TEST(kernels_that_cannot_start_here_are_refused),
		TEST(every_truncation_is_refused),
		TEST(absurd_sizes_are_refused),
		TEST(kernel_must_fit_into_the_vm),
		TEST(absurd_addresses_are_refused),
		TEST(long_command_line_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
