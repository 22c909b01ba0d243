/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "support_load.h"

#include <cmocka.h>
#include <elf.h>
#include <kernel/loaders/multiboot.h>
#include <mullion/bits.h>
#include <string.h>

#define MAGIC 0x1badb002
#define CODE MIB(1)

/* A good kernel without ELF, on which each test makes one change. */
static struct image {
	uint8_t before[64];
	struct {
		uint32_t magic, flags, checksum;
		uint32_t header, load, load_end, bss_end, entry;
	} header;
	uint8_t code[1000];
} image;

/* The same as ELF of 32 bits with virtual addresses. */
static struct elf_image {
	Elf32_Ehdr elf;
	Elf32_Phdr segment;
	uint32_t header[3];
	uint8_t code[1000];
} elf;

struct info {
	uint32_t flags, lower, upper, boot_device, command_line;
	uint32_t module_count, modules, symbols[4], map_length, map;
	uint32_t drives[2], config, loader_name, apm;
};

#define HEADER_AT offsetof(struct image, header)
#define END (CODE + sizeof image)

static struct load_guest guest;

/* After a change of the flags. */
static void fix_sum(void)
{
	image.header.checksum = -(image.header.magic + image.header.flags);
}

static int fresh(void **state)
{
	(void)state;
	memset(&image, 0x11, sizeof image);
	image.header.magic = MAGIC;
	image.header.flags = 0x10003;
	image.header.header = CODE + HEADER_AT;
	image.header.load = CODE;
	image.header.load_end = END;
	image.header.bss_end = END + 5000;
	image.header.entry = CODE + 200;
	fix_sum();
	elf = (struct elf_image){
		.elf = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS32,
				      ELFDATA2LSB, EV_CURRENT },
			 .e_type = ET_EXEC,
			 .e_machine = EM_386,
			 .e_entry = 0xc0000000 + CODE + 4,
			 .e_phoff = offsetof(struct elf_image, segment),
			 .e_phentsize = sizeof(Elf32_Phdr),
			 .e_phnum = 1 },
		.segment = { .p_type = PT_LOAD,
			     .p_offset = offsetof(struct elf_image, code),
			     .p_vaddr = 0xc0000000 + CODE,
			     .p_paddr = CODE,
			     .p_filesz = 1000,
			     .p_memsz = 3000 },
		.header = { MAGIC, 0, -(uint32_t)MAGIC },
	};
	memset(elf.code, 0x22, sizeof elf.code);
	load_guest_make(&guest, MIB(4), MIB(2));
	strcpy(guest.vm.command_line, "kernel debug");
	return 0;
}

static enum error run_file(const void *file, uint64_t size)
{
	return load_guest_run(&guest, MULL_IMAGE_MULTIBOOT, file, size, NULL,
			      0);
}

static enum error run(void)
{
	return run_file(&image, sizeof image);
}

static struct info read_info(void)
{
	struct info info;

	assert_int_equal(guest.load.start.rax, 0x2badb002);
	load_guest_read(&guest, guest.load.start.rbx, &info, sizeof info);
	return info;
}

/* ---- good ones ---------------------------------------------------------- */

static void address_fields_place_the_kernel(void **state)
{
	static uint8_t there[sizeof image + 5001], zero[5000];

	(void)state;
	assert_int_equal(run(), ERR_NONE);
	load_guest_check_protected_mode(&guest);
	assert_int_equal(guest.load.start.rip, CODE + 200);
	load_guest_read(&guest, CODE, there, sizeof there);
	assert_memory_equal(there, &image, sizeof image);
	assert_memory_equal(there + sizeof image, zero, 5000);
	assert_int_equal(there[sizeof image + 5000], 0xcc);
}

static void fields_that_are_0_mean_all_of_the_file(void **state)
{
	uint8_t there[sizeof image + 1];

	(void)state;
	image.header.load_end = image.header.bss_end = 0;
	assert_int_equal(run(), ERR_NONE);
	load_guest_read(&guest, CODE, there, sizeof there);
	assert_memory_equal(there, &image, sizeof image);
	assert_int_equal(there[sizeof image], 0xcc);
	/* What is before the header may be left out. */
	image.header.load = CODE + HEADER_AT;
	assert_int_equal(run(), ERR_NONE);
	load_guest_read(&guest, CODE, there, sizeof there);
	assert_int_equal(there[HEADER_AT - 1], 0xcc);
	assert_memory_equal(there + HEADER_AT, &image.header,
			    sizeof image - HEADER_AT);
}

static void elf_is_loaded_by_segments(void **state)
{
	uint8_t there[3001];

	(void)state;
	assert_int_equal(run_file(&elf, sizeof elf), ERR_NONE);
	assert_int_equal(guest.load.start.rip, CODE + 4);
	load_guest_read(&guest, CODE, there, sizeof there);
	assert_memory_equal(there, elf.code, 1000);
	assert_int_equal(there[2999], 0);
	assert_int_equal(there[3000], 0xcc);
	/* Against ELF's rules, but often seen. */
	elf.elf.e_entry = CODE + 8;
	assert_int_equal(run_file(&elf, sizeof elf), ERR_NONE);
	assert_int_equal(guest.load.start.rip, CODE + 8);
}

static void the_header_may_be_late(void **state)
{
	static uint8_t late[MULTIBOOT_SEARCH + 2000];

	(void)state;
	memset(late, 0, sizeof late);
	image.header.header = CODE;
	image.header.load = CODE;
	image.header.load_end = image.header.bss_end = 0;
	memcpy(late + MULTIBOOT_SEARCH - 32, &image.header, 32);
	assert_int_equal(run_file(late, sizeof late), ERR_NONE);
	memmove(late + MULTIBOOT_SEARCH - 28, late + MULTIBOOT_SEARCH - 32, 32);
	memset(late + MULTIBOOT_SEARCH - 32, 0, 4);
	assert_int_equal(run_file(late, sizeof late), ERR_BAD_IMAGE);
	assert_non_null(strstr(guest.load.words, "header ends too early"));
	/* One whose sum is wrong is none, and the next one counts. */
	fresh(NULL);
	memcpy(image.before, (uint32_t[]){ MAGIC, 0, 0 }, 12);
	assert_int_equal(run(), ERR_NONE);
}

static void info_is_what_the_protocol_says(void **state)
{
	struct __attribute__((packed)) {
		uint32_t size;
		uint64_t start, length;
		uint32_t type;
	} map[4];
	uint16_t bios[2];
	struct info info;

	(void)state;
	assert_int_equal(run(), ERR_NONE);
	assert_int_equal(load_guest_check_acpi(&guest), 1);
	info = read_info();
	assert_int_equal(info.flags, 0x24d);
	assert_int_equal(info.lower, 639);
	assert_int_equal(info.upper, 3 * 1024);
	assert_string_equal(load_guest_string(&guest, info.command_line),
			    "kernel debug");
	assert_string_equal(load_guest_string(&guest, info.loader_name),
			    "Mullion");
	assert_int_equal(info.module_count, 0);
	assert_int_equal(info.map_length, sizeof map);
	load_guest_read(&guest, info.map, map, sizeof map);
	assert_int_equal(map[0].size, 20);
	assert_int_equal(map[0].length, 0x9fc00);
	assert_int_equal(map[1].type, 2);
	assert_int_equal(map[2].start, MIB(1));
	assert_int_equal(map[2].length, MIB(3));
	assert_int_equal(map[3].start, GIB(4));
	/* BIOS data: where memory ends, as segment and in KiB. */
	load_guest_read(&guest, 0x40e, &bios[0], 2);
	load_guest_read(&guest, 0x413, &bios[1], 2);
	assert_int_equal(bios[0], 0x9fc0);
	assert_int_equal(bios[1], 639);
}

static void modules_are_listed(void **state)
{
	struct {
		uint32_t start, end, words, reserved;
	} modules[2];
	struct info info;

	(void)state;
	guest.vm.module_count = 2;
	strcpy(guest.vm.modules[0].words, "one");
	strcpy(guest.vm.modules[1].words, "two 2");
	guest.modules[0].bytes = "first";
	guest.modules[0].size = 5;
	guest.modules[1].bytes = "second";
	guest.modules[1].size = 6;
	assert_int_equal(run(), ERR_NONE);
	info = read_info();
	assert_int_equal(info.module_count, 2);
	load_guest_read(&guest, info.modules, modules, sizeof modules);
	assert_int_equal(modules[0].start,
			 round_up((uint64_t)END + 5000, 4096));
	assert_int_equal(modules[0].end, modules[0].start + 5);
	assert_int_equal(modules[1].start, modules[0].start + 4096);
	assert_string_equal(load_guest_string(&guest, modules[0].words), "one");
	assert_string_equal(load_guest_string(&guest, modules[1].words),
			    "two 2");
	assert_int_equal(modules[1].reserved, 0);
}

/* ---- hostile ones ------------------------------------------------------- */

static void assert_words(const char *words)
{
	if (!strstr(guest.load.words, words))
		fail_msg("\"%s\" is not in: %s", words, guest.load.words);
}

#define REFUSED(change, words) \
	do { \
		fresh(NULL); \
		change; \
		assert_int_equal(run(), ERR_BAD_IMAGE); \
		assert_words(words); \
	} while (0)

static void other_files_are_refused(void **state)
{
	(void)state;
	REFUSED(image.header.magic++, "no header of Multiboot in its first 8 "
				      "KiB");
	REFUSED(image.header.checksum++, "no header of Multiboot");
	for (uint64_t size = 0; size < HEADER_AT + 12; size++) {
		assert_int_equal(run_file(&image, size), ERR_BAD_IMAGE);
		assert_words("no header of Multiboot");
	}
	fresh(NULL);
	for (uint64_t size = HEADER_AT + 12; size < HEADER_AT + 32; size++) {
		assert_int_equal(run_file(&image, size), ERR_BAD_IMAGE);
		assert_words("header ends too early");
	}
	/* Without address fields it has to be ELF. */
	image.header.flags = 3;
	fix_sum();
	assert_int_equal(run(), ERR_BAD_IMAGE);
	assert_words("no Multiboot kernel: no ELF header");
}

static void unknown_flags_are_refused(void **state)
{
	(void)state;
	image.header.flags |= 8;
	fix_sum();
	assert_int_equal(run(), ERR_UNSUPPORTED);
	assert_words("asks for flags 0x8, which are not known");
	/* Higher ones ask for nothing, and a screen is a wish. */
	image.header.flags = 0xffff0007;
	fix_sum();
	assert_int_equal(run(), ERR_NONE);
}

static void hostile_fields_are_refused(void **state)
{
	(void)state;
	REFUSED(image.header.load = CODE + HEADER_AT + 1,
		"begins behind its own header");
	REFUSED(image.header.load = CODE - 1, "begins before the file does");
	REFUSED(image.header.load = 0, "begins before the file does");
	REFUSED(image.header.header = ~0u, "begins before the file does");
	REFUSED(image.header.load = image.header.header = ~0u;
		image.header.load_end = image.header.bss_end = 0,
		"beyond the VM's memory");
	REFUSED(image.header.load_end = CODE, "ends before it begins");
	REFUSED(image.header.load_end = 1, "ends before it begins");
	REFUSED(image.header.load_end = END + 1, "lies outside of the file");
	REFUSED(image.header.load_end = ~0u, "lies outside of the file");
	REFUSED(image.header.bss_end = END - 1, "ends behind its own zeroes");
	REFUSED(image.header.bss_end = MIB(4) + 1, "beyond the VM's memory");
	REFUSED(image.header.bss_end = ~0u, "beyond the VM's memory");
	REFUSED(image.header.entry = CODE - 1, "entry point 0xfffff is not");
	REFUSED(image.header.entry = END, "is not in what is loaded");
	REFUSED(image.header.load = 0xe0000;
		image.header.header = 0xe0000 + HEADER_AT;
		image.header.load_end = image.header.bss_end = 0,
		"over the ACPI tables");
	REFUSED(image.header.load = KIB(32) - 4;
		image.header.header = KIB(32) - 4 + HEADER_AT;
		image.header.load_end = image.header.bss_end = 0,
		"below 32 KiB");
}

#define TEST(test) cmocka_unit_test_setup(test, fresh)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(address_fields_place_the_kernel),
		TEST(fields_that_are_0_mean_all_of_the_file),
		TEST(elf_is_loaded_by_segments),
		TEST(the_header_may_be_late),
		TEST(info_is_what_the_protocol_says),
		TEST(modules_are_listed),
		TEST(other_files_are_refused),
		TEST(unknown_flags_are_refused),
		TEST(hostile_fields_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
