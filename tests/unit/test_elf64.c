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
#include <string.h>

/* A good guest, on which each test makes one change: code and data with a
 * .bss, and the note, for which other notes stand. */
static struct image {
	Elf64_Ehdr header;
	Elf64_Phdr segments[3];
	struct {
		Elf64_Nhdr other;
		char other_name[4];
		uint8_t other_value[8];
		Elf64_Nhdr abi;
		char owner[8];
		uint32_t value;
	} notes;
	uint8_t code[1000];
	uint8_t data[500];
} image;

static struct load_guest guest;

#define CODE MIB(1)
#define DATA (MIB(1) + 8192)
#define BSS KIB(200)
#define END (offsetof(struct image, data) + sizeof image.data)

static Elf64_Phdr segment(uint32_t type, uint32_t flags, size_t offset,
			  size_t size, uint64_t at)
{
	return (Elf64_Phdr){ .p_type = type,
			     .p_flags = flags,
			     .p_offset = offset,
			     .p_filesz = size,
			     .p_memsz = size,
			     .p_vaddr = at,
			     .p_paddr = at };
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
		.e_version = EV_CURRENT,
		.e_entry = CODE + 64,
		.e_phoff = offsetof(struct image, segments),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = 3,
	};
	image.segments[0] = segment(PT_LOAD, PF_R | PF_X,
				    offsetof(struct image, code),
				    sizeof image.code, CODE);
	image.segments[1] = segment(PT_LOAD, PF_R | PF_W,
				    offsetof(struct image, data),
				    sizeof image.data, DATA);
	image.segments[1].p_memsz += BSS;
	image.segments[2] = segment(PT_NOTE, PF_R,
				    offsetof(struct image, notes),
				    sizeof image.notes, 0);
	image.notes.other = (Elf64_Nhdr){ 3, 5, 1 };
	memcpy(image.notes.other_name, "GNU", 4);
	image.notes.abi = (Elf64_Nhdr){ 8, 4, MULL_NOTE_ABI };
	memcpy(image.notes.owner, "Mullion", 8);
	image.notes.value = MULL_GUEST_ABI;
	memset(image.code, 0x90, sizeof image.code);
	memset(image.data, 0xda, sizeof image.data);
	load_guest_make(&guest, MIB(4), 0);
	strcpy(guest.vm.name, "counter");
	strcpy(guest.vm.command_line, "to=10");
	return 0;
}

static enum error run_part(size_t size)
{
	return load_guest_run(&guest, MULL_IMAGE_ELF64, &image, size, NULL, 0);
}

static enum error run(void)
{
	return run_part(sizeof image);
}

static void assert_refused(const char *words)
{
	assert_int_equal(run(), ERR_BAD_IMAGE);
	if (!strstr(guest.load.words, words))
		fail_msg("\"%s\" is not in: %s", words, guest.load.words);
}

/* ---- good ones ---------------------------------------------------------- */

static void segments_lie_at_their_physical_addresses(void **state)
{
	static uint8_t there[500 + BSS + 1], zero[BSS];

	(void)state;
	image.segments[1].p_vaddr = 0xffff0000; /* is not looked at */
	assert_int_equal(run(), ERR_NONE);
	load_guest_read(&guest, CODE, there, 1001);
	assert_memory_equal(there, image.code, 1000);
	assert_int_equal(there[1000], 0xcc);
	load_guest_read(&guest, DATA, there, sizeof there);
	assert_memory_equal(there, image.data, 500);
	assert_memory_equal(there + 500, zero, BSS);
	assert_int_equal(there[500 + BSS], 0xcc);
}

static void start_is_what_the_guest_is_promised(void **state)
{
	const struct guest_start *start = &guest.load.start;

	(void)state;
	assert_int_equal(run(), ERR_NONE);
	assert_int_equal(start->rip, CODE + 64);
	assert_int_equal(start->rsp % 16, 0);
	load_guest_check_long_mode(&guest);
	assert_int_equal(load_guest_check_acpi(&guest), 1);
}

static void guest_is_told_what_it_has(void **state)
{
	struct mull_guest_info info;
	char line[8];

	(void)state;
	load_guest_make(&guest, GIB(3), MIB(6));
	guest.vm.vcpu_count = 3;
	memset(guest.vm.name, 'n', sizeof guest.vm.name);
	strcpy(guest.vm.command_line, "to=10");
	assert_int_equal(run(), ERR_NONE);
	load_guest_read(&guest, guest.load.start.rdi, &info, sizeof info);
	assert_int_equal(info.magic, MULL_GUEST_INFO_MAGIC);
	assert_int_equal(info.abi, MULL_GUEST_ABI);
	assert_int_equal(info.vcpu_count, 3);
	assert_int_equal(info.memory_low, GIB(3));
	assert_int_equal(info.memory_high, MIB(6));
	assert_int_equal(info.tsc_khz, 2400000);
	assert_int_equal(info.rsdp, MULL_GUEST_ACPI_AREA);
	assert_string_equal(info.name, "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn");
	load_guest_read(&guest, info.command_line, line, sizeof line);
	assert_memory_equal(line, "to=10\0\0\0", 8);
}

/* Stack and tables of the loader are apart from each other. */
static void stack_is_free(void **state)
{
	uint8_t stack[KIB(16)];

	(void)state;
	assert_int_equal(run(), ERR_NONE);
	load_guest_read(&guest, guest.load.start.rsp - sizeof stack, stack,
			sizeof stack);
	for (size_t i = 0; i < sizeof stack; i++)
		assert_int_equal(stack[i], 0);
}

static void segments_may_touch_what_is_the_loaders(void **state)
{
	(void)state;
	image.segments[1].p_paddr = LOW_END;
	assert_int_equal(run(), ERR_NONE);
	image.segments[1].p_paddr = MULL_GUEST_ACPI_AREA - 500 - BSS;
	assert_int_equal(run(), ERR_NONE);
	image.segments[1].p_paddr = CODE + 1000;
	assert_int_equal(run(), ERR_NONE);
	image.segments[1].p_paddr = MIB(4) - 500 - BSS;
	assert_int_equal(run(), ERR_NONE);
	load_guest_check_acpi(&guest);
}

static void empty_segment_is_passed_over(void **state)
{
	(void)state;
	image.segments[1].p_paddr = 0;
	image.segments[1].p_filesz = image.segments[1].p_memsz = 0;
	assert_int_equal(run(), ERR_NONE);
}

static void first_note_of_mullion_counts(void **state)
{
	(void)state;
	image.segments[1] = image.segments[2];
	image.segments[2].p_offset = offsetof(struct image, data);
	assert_int_equal(run(), ERR_NONE);
}

/* ---- hostile ones ------------------------------------------------------- */

#define REFUSED(change, words) \
	do { \
		fresh(NULL); \
		change; \
		assert_refused(words); \
	} while (0)

static void other_files_are_refused(void **state)
{
	(void)state;
	for (int i = 0; i < 7; i++)
		REFUSED(image.header.e_ident[i] ^= 3, "no ELF64 header");
	REFUSED(image.header.e_machine = EM_386, "for another processor");
	REFUSED(image.header.e_type = ET_DYN, "no executable with fixed");
	REFUSED(image.header.e_phentsize = 32, "odd size");
	REFUSED(image.header.e_phnum = 0, "program headers is not 1 to 16");
	REFUSED(image.header.e_phnum = 17, "program headers is not 1 to 16");
	REFUSED(image.header.e_phoff = sizeof image - 100, "outside");
	REFUSED(image.header.e_phoff = ~0ull, "outside");
	REFUSED(image.header.e_phoff = ~0ull - 167, "outside");
}

static void every_truncation_is_refused(void **state)
{
	(void)state;
	for (size_t size = 0; size < END; size++)
		assert_int_equal(run_part(size), ERR_BAD_IMAGE);
}

static void guests_of_others_are_refused(void **state)
{
	(void)state;
	REFUSED(image.segments[2].p_type = 0, "no note of that name");
	REFUSED(image.notes.owner[6] = 'x', "no note of that name");
	REFUSED(image.notes.abi.n_type = 7, "no note of that name");
	REFUSED(image.notes.abi.n_namesz = 7, "no note of that name");
	REFUSED(image.notes.abi.n_descsz = 8, "no note of that name");
	REFUSED(image.notes.abi.n_descsz = 3, "no note of that name");
	REFUSED(image.segments[2] = segment(PT_NOTE, 0, sizeof image - 5, 5, 0),
		"no note of that name");
	REFUSED(image.notes.other.n_namesz = ~0u, "no note of that name");
	REFUSED(image.notes.other.n_descsz = ~0u, "no note of that name");
	REFUSED(image.segments[2].p_filesz--, "no note of that name");
	REFUSED(image.segments[2].p_filesz = ~0ull, "no note of that name");
	REFUSED(image.segments[2].p_offset = ~0ull, "no note of that name");
	fresh(NULL);
	image.notes.value = 2;
	assert_int_equal(run(), ERR_VERSION);
	assert_string_equal(guest.load.words,
			    "kernel was made for version 2 of the guest's "
			    "interface, but this is version 1");
}

static void hostile_segments_are_refused(void **state)
{
	Elf64_Phdr *data = &image.segments[1];

	(void)state;
	REFUSED(data->p_memsz = 499, "is larger in the file than in memory");
	REFUSED(data->p_offset = sizeof image - 499, "outside of the file");
	REFUSED(data->p_offset = ~0ull - 100, "outside of the file");
	REFUSED(data->p_memsz = ~0ull;
		data->p_filesz = ~0ull, "outside of the file");
	REFUSED(data->p_memsz = MIB(3), "beyond the VM's memory");
	REFUSED(data->p_memsz = ~0ull, "beyond the VM's memory");
	REFUSED(data->p_paddr = ~0ull, "beyond the VM's memory");
	REFUSED(data->p_paddr = MIB(4) - 499 - BSS, "beyond the VM's memory");
	REFUSED(data->p_paddr = 0, "below 64 KiB");
	REFUSED(data->p_paddr = LOW_END - 1, "below 64 KiB");
	REFUSED(data->p_paddr = MULL_GUEST_ACPI_AREA - 499 - BSS, "over the "
								  "ACPI");
	REFUSED(data->p_paddr = MIB(1) - 1, "over the ACPI tables");
	REFUSED(data->p_paddr = CODE + 999, "overlaps another one");
	REFUSED(data->p_paddr = CODE - 1;
		image.segments[0].p_paddr += 8, "over the ACPI tables");
	REFUSED(image.segments[0].p_paddr = DATA + 500 + BSS - 1,
		"overlaps another one");
}

static void hole_below_4_gib_is_no_memory(void **state)
{
	(void)state;
	load_guest_make(&guest, MIB(4), MIB(4));
	image.segments[1].p_paddr = GIB(4);
	assert_refused("beyond the VM's memory below 4 GiB");
}

static void entry_must_be_code(void **state)
{
	(void)state;
	REFUSED(image.header.e_entry = CODE - 1, "0xfffff is not in a segment");
	REFUSED(image.header.e_entry = CODE + 1000, "not in a segment");
	REFUSED(image.header.e_entry = DATA, "not in a segment with code");
	REFUSED(image.header.e_entry = 0, "not in a segment with code");
	REFUSED(image.segments[0].p_flags = PF_R, "not in a segment with code");
	REFUSED(image.segments[0].p_type = image.segments[1].p_type = 0,
		"not in a segment with code");
	/* A segment without memory is not loaded, so nothing is in it. */
	REFUSED(image.segments[0].p_memsz = 0, "not in a segment with code");
}

/* More than there is room for in the list of what is to be copied. */
static void many_segments_are_refused(void **state)
{
	struct {
		struct image image;
		Elf64_Phdr segments[12];
	} many;

	(void)state;
	many.image = image;
	many.image.header.e_phoff = sizeof image + 4; /* any alignment */
	many.image.header.e_phnum = 11;
	memset(many.segments, 0, sizeof many.segments);
	for (int i = 0; i < 11; i++) {
		Elf64_Phdr one = segment(PT_LOAD, PF_X, 0, 16,
					 MIB(1) + 64ull * (uint64_t)i);

		one = i == 10 ? image.segments[2] : one;
		memcpy((uint8_t *)&many + sizeof image + 4 +
			       (size_t)i * sizeof one,
		       &one, sizeof one);
	}
	assert_int_equal(load_guest_run(&guest, MULL_IMAGE_ELF64, &many,
					sizeof many, NULL, 0),
			 ERR_BAD_IMAGE);
	assert_string_equal(guest.load.words,
			    "kernel: the segment of 16 bytes at 0x100200 is "
			    "one more than the 8 that can be loaded");
}

#define TEST(test) cmocka_unit_test_setup(test, fresh)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(segments_lie_at_their_physical_addresses),
		TEST(start_is_what_the_guest_is_promised),
		TEST(guest_is_told_what_it_has),
		TEST(stack_is_free),
		TEST(segments_may_touch_what_is_the_loaders),
		TEST(empty_segment_is_passed_over),
		TEST(first_note_of_mullion_counts),
		TEST(other_files_are_refused),
		TEST(every_truncation_is_refused),
		TEST(guests_of_others_are_refused),
		TEST(hostile_segments_are_refused),
		TEST(hole_below_4_gib_is_no_memory),
		TEST(entry_must_be_code),
		TEST(many_segments_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
