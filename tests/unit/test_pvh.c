/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "support_load.h"

#include <cmocka.h>
#include <elf.h>
#include <kernel/loaders/loader.h>
#include <mullion/bits.h>
#include <mullion/guest.h>
#include <stdio.h>
#include <string.h>

#define PHYS32_ENTRY 18 /* XEN_ELFNOTE_PHYS32_ENTRY */
#define CODE MIB(1)
#define DATA (MIB(1) + 8192)
#define BSS KIB(64)
#define DATA_END (DATA + 500 + BSS)

/* A good kernel of 64 bits, on which each test makes one change. */
static struct image {
	Elf64_Ehdr header;
	Elf64_Phdr segments[3];
	struct __attribute__((packed)) {
		Elf64_Nhdr other;
		char other_name[4];
		uint32_t other_value;
		Elf64_Nhdr entry;
		char owner[4];
		uint64_t value;
	} notes;
	uint8_t code[1000];
	uint8_t data[500];
} image;

/* The same of 32 bits. */
static struct image32 {
	Elf32_Ehdr header;
	Elf32_Phdr segments[2];
	Elf32_Nhdr entry;
	char owner[4];
	uint32_t value;
	uint8_t code[1000];
} image32;

/* Xen, public/arch-x86/hvm/start_info.h */
struct info {
	uint32_t magic, version, flags, module_count;
	uint64_t modules, command_line, rsdp, map;
	uint32_t map_count, reserved;
};

struct module {
	uint64_t start, size, command_line, reserved;
};

static struct load_guest guest;

static Elf64_Phdr segment(uint32_t type, size_t offset, size_t size,
			  uint64_t at)
{
	return (Elf64_Phdr){ .p_type = type,
			     .p_flags = PF_R | PF_X,
			     .p_offset = offset,
			     .p_filesz = size,
			     .p_memsz = size,
			     .p_vaddr = 0xffffffff80000000 + at,
			     .p_paddr = at };
}

static void fresh32(void)
{
	image32 = (struct image32){
		.header = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS32,
					 ELFDATA2LSB, EV_CURRENT },
			    .e_type = ET_EXEC,
			    .e_machine = EM_386,
			    .e_phoff = offsetof(struct image32, segments),
			    .e_phentsize = sizeof(Elf32_Phdr),
			    .e_phnum = 2 },
		.segments = { { .p_type = PT_LOAD,
				.p_offset = offsetof(struct image32, code),
				.p_paddr = CODE,
				.p_filesz = 1000,
				.p_memsz = 2000 },
			      { .p_type = PT_NOTE,
				.p_offset = offsetof(struct image32, entry),
				.p_filesz = 20,
				.p_memsz = 20 } },
		.entry = { 4, 4, PHYS32_ENTRY },
		.owner = "Xen",
		.value = CODE + 8,
	};
	memset(image32.code, 0x90, sizeof image32.code);
}

static int fresh(void **state)
{
	(void)state;
	memset(&image, 0, sizeof image);
	image.header = (Elf64_Ehdr){
		.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB,
			     EV_CURRENT },
		.e_type = ET_EXEC,
		.e_machine = EM_X86_64,
		.e_entry = 0x1234, /* is not looked at */
		.e_phoff = offsetof(struct image, segments),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = 3,
	};
	image.segments[0] = segment(PT_LOAD, offsetof(struct image, code),
				    sizeof image.code, CODE);
	image.segments[1] = segment(PT_LOAD, offsetof(struct image, data),
				    sizeof image.data, DATA);
	image.segments[1].p_memsz += BSS;
	image.segments[2] = segment(PT_NOTE, offsetof(struct image, notes),
				    sizeof image.notes, 0);
	image.notes.other = (Elf64_Nhdr){ 4, 4, PHYS32_ENTRY };
	memcpy(image.notes.other_name, "Xem", 4);
	image.notes.entry = (Elf64_Nhdr){ 4, 8, PHYS32_ENTRY };
	memcpy(image.notes.owner, "Xen", 4);
	image.notes.value = CODE + 64;
	memset(image.code, 0x90, sizeof image.code);
	memset(image.data, 0xda, sizeof image.data);
	fresh32();
	load_guest_make(&guest, MIB(4), MIB(2));
	strcpy(guest.vm.command_line, "console=ttyS0");
	return 0;
}

static enum error run_with(const void *initrd, uint64_t size)
{
	return load_guest_run(&guest, MULL_IMAGE_PVH, &image, sizeof image,
			      initrd, size);
}

static enum error run(void)
{
	return run_with(NULL, 0);
}

/* ---- good ones ---------------------------------------------------------- */

static void start_is_what_the_protocol_says(void **state)
{
	const struct guest_start *start = &guest.load.start;
	static uint8_t there[500 + BSS + 1], zero[BSS];
	struct memory_range map[4];
	struct info info;

	(void)state;
	assert_int_equal(run(), ERR_NONE);
	load_guest_check_protected_mode(&guest);
	assert_int_equal(load_guest_check_acpi(&guest), 1);
	assert_int_equal(start->rip, CODE + 64);
	load_guest_read(&guest, start->rbx, &info, sizeof info);
	assert_int_equal(info.magic, 0x336ec578);
	assert_int_equal(info.version, 1);
	assert_int_equal(info.flags, 0);
	assert_int_equal(info.module_count, 0);
	assert_int_equal(info.modules, 0);
	assert_int_equal(info.rsdp, MULL_GUEST_ACPI_AREA);
	assert_int_equal(info.reserved, 0);
	assert_string_equal(load_guest_string(&guest, info.command_line),
			    "console=ttyS0");
	assert_int_equal(info.map_count, 4);
	load_guest_read(&guest, info.map, map, sizeof map);
	assert_int_equal(map[0].start, 0);
	assert_int_equal(map[0].type, 1);
	assert_int_equal(map[1].start + map[1].size, MIB(1));
	assert_int_equal(map[1].type, 2);
	assert_int_equal(map[2].start, MIB(1));
	assert_int_equal(map[2].size, MIB(3));
	assert_int_equal(map[3].start, GIB(4));
	assert_int_equal(map[3].size, MIB(2));
	load_guest_read(&guest, DATA, there, sizeof there);
	assert_memory_equal(there, image.data, 500);
	assert_memory_equal(there + 500, zero, BSS);
	assert_int_equal(there[500 + BSS], 0xcc);
}

static void a_note_of_32_bits_will_do(void **state)
{
	(void)state;
	image.notes.entry.n_descsz = 4;
	assert_int_equal(run(), ERR_NONE);
	assert_int_equal(guest.load.start.rip, CODE + 64);
}

static void a_file_of_32_bits_will_do(void **state)
{
	uint8_t there[2001];

	(void)state;
	assert_int_equal(load_guest_run(&guest, MULL_IMAGE_PVH, &image32,
					sizeof image32, NULL, 0),
			 ERR_NONE);
	assert_int_equal(guest.load.start.rip, CODE + 8);
	load_guest_read(&guest, CODE, there, sizeof there);
	assert_memory_equal(there, image32.code, 1000);
	assert_int_equal(there[1999], 0);
	assert_int_equal(there[2000], 0xcc);
}

/* GRUB's own begins at 0x9000. */
static void low_memory_is_free_from_32_kib(void **state)
{
	(void)state;
	image.segments[0].p_paddr = KIB(32);
	image.notes.value = KIB(32);
	assert_int_equal(run(), ERR_NONE);
	assert_int_equal(guest.load.start.rip, KIB(32));
}

static void modules_follow_the_kernel(void **state)
{
	static const char initrd[5000] = "initrd", one[] = "first module";
	struct module modules[3];
	struct info info;
	uint64_t at = round_up(DATA_END, 4096);

	(void)state;
	guest.vm.module_count = 2;
	strcpy(guest.vm.modules[0].words, "one a=1");
	memset(guest.vm.modules[1].words, 'x', 124); /* has no end */
	guest.modules[0].bytes = one;
	guest.modules[0].size = sizeof one;
	guest.modules[1].bytes = &image;
	guest.modules[1].size = 8;
	assert_int_equal(run_with(initrd, sizeof initrd), ERR_NONE);
	load_guest_read(&guest, guest.load.start.rbx, &info, sizeof info);
	assert_int_equal(info.module_count, 3);
	load_guest_read(&guest, info.modules, modules, sizeof modules);
	assert_int_equal(modules[0].start, at);
	assert_int_equal(modules[0].size, 5000);
	assert_string_equal(load_guest_string(&guest, modules[0].command_line),
			    "");
	assert_string_equal(load_guest_string(&guest, modules[0].start),
			    "initrd");
	assert_int_equal(modules[1].start, at + 8192);
	assert_string_equal(load_guest_string(&guest, modules[1].start),
			    "first module");
	assert_string_equal(load_guest_string(&guest, modules[1].command_line),
			    "one a=1");
	assert_int_equal(modules[2].start, at + 12288);
	assert_int_equal(modules[2].size, 8);
	assert_int_equal(
		strlen(load_guest_string(&guest, modules[2].command_line)),
		123);
}

/* All that can be: each string is whole, and none is another's. */
static void the_longest_command_lines_fit(void **state)
{
	struct module modules[5];
	struct info info;
	char words[124];

	(void)state;
	memset(guest.vm.command_line, 'c', MULL_COMMAND_LINE_MAX - 1);
	guest.vm.module_count = 4;
	for (uint32_t i = 0; i < 4; i++) {
		memset(guest.vm.modules[i].words, '1' + (int)i, 123);
		guest.modules[i].bytes = "";
		guest.modules[i].size = 1;
	}
	assert_int_equal(run_with("i", 1), ERR_NONE);
	load_guest_read(&guest, guest.load.start.rbx, &info, sizeof info);
	assert_int_equal(info.module_count, 5);
	assert_int_equal(strlen(load_guest_string(&guest, info.command_line)),
			 MULL_COMMAND_LINE_MAX - 1);
	load_guest_read(&guest, info.modules, modules, sizeof modules);
	assert_string_equal(load_guest_string(&guest, modules[0].command_line),
			    "");
	for (int i = 1; i < 5; i++) {
		snprintf(words, sizeof words, "%s",
			 load_guest_string(&guest, modules[i].command_line));
		assert_string_equal(words, guest.vm.modules[i - 1].words);
	}
}

static void damaged_modules_are_named(void **state)
{
	static char many[MIB(3)];

	(void)state;
	guest.vm.module_count = 1;
	guest.modules[0].bytes = many;
	guest.modules[0].size = sizeof many;
	assert_int_equal(run(), ERR_TOO_LARGE);
	assert_string_equal(guest.load.words,
			    "module 1 of 3072 KiB does not fit behind "
			    "0x113000: the VM has 4 MiB of memory below 4 GiB");
	/* The last that fits ends where the memory does. */
	guest.modules[0].size = MIB(4) - round_up(DATA_END, 4096);
	assert_int_equal(run(), ERR_NONE);
}

/* ---- hostile ones ------------------------------------------------------- */

static void assert_refused(const char *words)
{
	assert_int_equal(run(), ERR_BAD_IMAGE);
	if (!strstr(guest.load.words, words))
		fail_msg("\"%s\" is not in: %s", words, guest.load.words);
}

#define REFUSED(change, words) \
	do { \
		fresh(NULL); \
		change; \
		assert_refused(words); \
	} while (0)

static void other_files_are_refused(void **state)
{
	static const char no_note[] = "kernel is no PVH kernel: it has no note "
				      "XEN_ELFNOTE_PHYS32_ENTRY";

	(void)state;
	REFUSED(image.header.e_ident[0] = 0, "no PVH kernel: no ELF header");
	REFUSED(image.header.e_ident[EI_CLASS] = 3, "no ELF header");
	REFUSED(image.header.e_ident[EI_DATA] = 2, "no ELF header");
	REFUSED(image.header.e_machine = EM_386, "for another processor");
	REFUSED(image.header.e_type = ET_DYN, "fixed addresses");
	REFUSED(image.header.e_phnum = 17, "is not 1 to 16");
	REFUSED(image.header.e_phoff = ~0ull, "outside of the file");
	REFUSED(image.notes.entry.n_type = 17, no_note);
	REFUSED(image.notes.owner[2] = 'm', no_note);
	REFUSED(image.notes.entry.n_descsz = 5, no_note);
	REFUSED(image.notes.entry.n_descsz = 12, no_note);
	REFUSED(image.notes.entry.n_namesz = ~0u, no_note);
	REFUSED(image.notes.other.n_descsz = ~0u, no_note);
	REFUSED(image.segments[2].p_filesz = ~0ull, no_note);
	REFUSED(image.segments[2].p_filesz -= 8, no_note);
}

static void hostile_places_are_refused(void **state)
{
	(void)state;
	REFUSED(image.notes.value = CODE - 1, "PVH entry point 0xfffff is not");
	REFUSED(image.notes.value = CODE + 1000, "is not in a segment");
	REFUSED(image.notes.value = DATA + 500, "is not in a segment");
	REFUSED(image.notes.value = GIB(4) + CODE, "is not in a segment");
	REFUSED(image.segments[0].p_paddr = KIB(32) - 1, "below 32 KiB");
	REFUSED(image.segments[0].p_paddr = 0xe0000, "over the ACPI tables");
	REFUSED(image.segments[0].p_paddr = MIB(4) - 999, "beyond the VM's");
	REFUSED(image.segments[0].p_paddr = DATA, "overlaps another one");
	REFUSED(image.segments[0].p_memsz = 999, "larger in the file");
	REFUSED(image.segments[0].p_offset = ~0ull, "outside of the file");
}

static void hostile_files_of_32_bits_are_refused(void **state)
{
	(void)state;
	for (uint64_t size = 0; size < sizeof image32; size++)
		assert_int_equal(load_guest_run(&guest, MULL_IMAGE_PVH,
						&image32, size, NULL, 0),
				 ERR_BAD_IMAGE);
	image32.header.e_machine = EM_X86_64;
	assert_int_equal(load_guest_run(&guest, MULL_IMAGE_PVH, &image32,
					sizeof image32, NULL, 0),
			 ERR_BAD_IMAGE);
	fresh32();
	image32.segments[0].p_memsz = ~0u;
	assert_int_equal(load_guest_run(&guest, MULL_IMAGE_PVH, &image32,
					sizeof image32, NULL, 0),
			 ERR_BAD_IMAGE);
}

#define TEST(test) cmocka_unit_test_setup(test, fresh)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(start_is_what_the_protocol_says),
		TEST(a_note_of_32_bits_will_do),
		TEST(a_file_of_32_bits_will_do),
		TEST(low_memory_is_free_from_32_kib),
		TEST(modules_follow_the_kernel),
		TEST(the_longest_command_lines_fit),
		TEST(damaged_modules_are_named),
		TEST(other_files_are_refused),
		TEST(hostile_places_are_refused),
		TEST(hostile_files_of_32_bits_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
