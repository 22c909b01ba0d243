/* SPDX-License-Identifier: MIT */
/* The hypervisor's ELF is checked as if somebody had forged it. */
#include <boot/elf_image.h>
#include <mullion/boot_info.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <elf.h>

static struct {
	Elf64_Ehdr header;
	Elf64_Phdr program[16];
	uint8_t bytes[64];
} file;

static struct elf_image image;

static int set_up(void **state)
{
	(void)state;
	memset(&file, 0, sizeof file);
	memcpy(file.header.e_ident, ELFMAG, SELFMAG);
	file.header.e_ident[EI_CLASS] = ELFCLASS64;
	file.header.e_ident[EI_DATA] = ELFDATA2LSB;
	file.header.e_ident[EI_VERSION] = EV_CURRENT;
	file.header.e_type = ET_EXEC;
	file.header.e_machine = EM_X86_64;
	file.header.e_entry = MULL_KERNEL_BASE + 0x1010;
	file.header.e_phoff = offsetof(typeof(file), program);
	file.header.e_phentsize = sizeof(Elf64_Phdr);
	file.header.e_phnum = 3;
	file.program[0] = (Elf64_Phdr){
		.p_type = PT_LOAD,
		.p_flags = PF_R | PF_X,
		.p_vaddr = MULL_KERNEL_BASE + 0x1000,
		.p_offset = offsetof(typeof(file), bytes),
		.p_filesz = 32,
		.p_memsz = 32,
	};
	file.program[1] = (Elf64_Phdr){ .p_type = PT_NOTE, .p_offset = -1ull };
	file.program[2] = (Elf64_Phdr){
		.p_type = PT_LOAD,
		.p_flags = PF_R | PF_W,
		.p_vaddr = MULL_KERNEL_BASE + 0x3000,
		.p_offset = offsetof(typeof(file), bytes) + 32,
		.p_filesz = 32,
		.p_memsz = 0x1001,
	};
	for (size_t i = 0; i < sizeof file.bytes; i++)
		file.bytes[i] = i + 1;
	return 0;
}

/* Checks a copy of just @size bytes, so that ASan sees a byte too far. */
static const char *check(size_t size)
{
	void *copy = malloc(size);
	const char *problem;

	memcpy(copy, &file, size);
	problem = elf_image_check(copy, size, &image);
	free(copy);
	return problem;
}

static void assert_problem(const char *part)
{
	const char *problem = check(sizeof file);

	assert_non_null(problem);
	if (!strstr(problem, part))
		fail_msg("\"%s\" instead of \"%s\"", problem, part);
}

static void a_good_file_is_loaded(void **state)
{
	uint8_t *block;

	(void)state;
	assert_null(check(sizeof file));
	assert_int_equal(image.entry, MULL_KERNEL_BASE + 0x1010);
	assert_int_equal(image.size, 0x5000);
	assert_int_equal(image.segment_count, 2);

	block = malloc(image.size);
	memset(block, 0xcc, image.size);
	elf_image_load(&file, &image, block);
	assert_int_equal(block[0], 0);
	assert_memory_equal(block + 0x1000, file.bytes, 32);
	assert_int_equal(block[0x1020], 0);
	assert_memory_equal(block + 0x3000, file.bytes + 32, 32);
	assert_int_equal(block[0x4000], 0); /* .bss */
	assert_int_equal(block[0x4fff], 0);
	free(block);
}

static void every_truncation_is_noticed(void **state)
{
	(void)state;
	for (size_t size = 0; size < sizeof file; size++)
		assert_non_null(check(size));
}

static void other_kinds_of_file_are_refused(void **state)
{
	(void)state;
	for (int byte = 0; byte < 7; byte++) {
		file.header.e_ident[byte] ^= 2;
		assert_problem("not a 64-bit ELF");
		file.header.e_ident[byte] ^= 2;
	}
	file.header.e_machine = EM_AARCH64;
	assert_problem("not for x86-64");
	file.header.e_machine = EM_X86_64;
	file.header.e_type = ET_DYN;
	assert_problem("fixed addresses");
}

static void bad_program_headers_are_refused(void **state)
{
	(void)state;
	file.header.e_phentsize = 55;
	assert_problem("unknown size");
	file.header.e_phentsize = 56;
	file.header.e_phnum = 0;
	assert_problem("no program headers");
	file.header.e_phnum = 17;
	assert_problem("too many");
	file.header.e_phnum = 3;
	file.header.e_phoff = sizeof file + 1;
	assert_problem("outside the file");
	file.header.e_phoff = -8ull;
	assert_problem("outside the file");
	file.header.e_phoff = sizeof file - 3 * 56 + 1;
	assert_problem("outside the file");
}

static void segments_outside_the_file_are_refused(void **state)
{
	(void)state;
	file.program[2].p_offset++;
	assert_problem("bytes lie outside");
	file.program[2].p_offset = -16ull;
	assert_problem("bytes lie outside");
	file.program[2].p_offset = sizeof file;
	assert_problem("bytes lie outside");
	file.program[2].p_filesz = 0;
	assert_null(check(sizeof file));
	file.program[2].p_filesz = -1ull;
	assert_problem("bytes lie outside");
}

static void segments_outside_their_place_are_refused(void **state)
{
	(void)state;
	file.program[2].p_vaddr = MULL_KERNEL_BASE + 0x1ff000;
	file.program[2].p_memsz = 0x1000;
	assert_null(check(sizeof file));
	assert_int_equal(image.size, MULL_KERNEL_MAX);
	file.program[2].p_memsz = 0x1001;
	assert_problem("does not fit");
	file.program[2].p_memsz = -1ull;
	assert_problem("does not fit");
	file.program[2].p_memsz = 0x1000;
	file.program[2].p_vaddr = MULL_KERNEL_BASE - 1;
	assert_problem("does not fit");
	file.program[2].p_vaddr = MULL_KERNEL_BASE + 0x200001;
	assert_problem("does not fit");
	file.program[2].p_vaddr = 0x3000;
	assert_problem("does not fit");
}

static void empty_segments_are_passed_over(void **state)
{
	(void)state;
	file.program[2].p_vaddr = 0;
	file.program[2].p_filesz = 0;
	file.program[2].p_memsz = 0;
	assert_null(check(sizeof file));
	assert_int_equal(image.segment_count, 1);
	assert_int_equal(image.size, 0x2000);
}

static void segments_that_quarrel_are_refused(void **state)
{
	(void)state;
	file.program[2].p_memsz = 31;
	assert_problem("larger in the file");
	file.program[2].p_memsz = 32;
	file.program[2].p_vaddr = MULL_KERNEL_BASE + 0x101f;
	assert_problem("overlap");
	file.program[2].p_vaddr = MULL_KERNEL_BASE + 0x1000 - 31;
	assert_problem("overlap");
	file.program[2].p_vaddr = MULL_KERNEL_BASE + 0x1020;
	assert_null(check(sizeof file));
}

static void too_many_segments_are_refused(void **state)
{
	(void)state;
	for (int i = 2; i < 10; i++) {
		file.program[i] = file.program[2];
		file.program[i].p_vaddr = MULL_KERNEL_BASE + 0x10000 * i;
	}
	file.header.e_phnum = 2 + ELF_SEGMENT_MAX - 1;
	assert_null(check(sizeof file));
	file.header.e_phnum++;
	assert_problem("too many segments");
}

static void the_entry_is_in_code(void **state)
{
	(void)state;
	file.header.e_entry = MULL_KERNEL_BASE + 0x1020;
	assert_problem("entry point");
	file.header.e_entry = MULL_KERNEL_BASE + 0xfff;
	assert_problem("entry point");
	file.header.e_entry = MULL_KERNEL_BASE + 0x3000; /* data */
	assert_problem("entry point");
	file.header.e_entry = MULL_KERNEL_BASE + 0x101f;
	assert_null(check(sizeof file));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_good_file_is_loaded, set_up),
		cmocka_unit_test_setup(every_truncation_is_noticed, set_up),
		cmocka_unit_test_setup(other_kinds_of_file_are_refused, set_up),
		cmocka_unit_test_setup(bad_program_headers_are_refused, set_up),
		cmocka_unit_test_setup(segments_outside_the_file_are_refused,
				       set_up),
		cmocka_unit_test_setup(segments_outside_their_place_are_refused,
				       set_up),
		cmocka_unit_test_setup(empty_segments_are_passed_over, set_up),
		cmocka_unit_test_setup(segments_that_quarrel_are_refused,
				       set_up),
		cmocka_unit_test_setup(too_many_segments_are_refused, set_up),
		cmocka_unit_test_setup(the_entry_is_in_code, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
