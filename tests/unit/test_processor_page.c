/* SPDX-License-Identifier: MIT */
/*
 * The three tables of what guests see of their processor: that nothing is
 * decided twice, that everything that the emulators' processors offer is
 * decided, and that docs/processor.md says the same.  "--print" prints the
 * page's tables.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "machine_cpuid.h"
#include <cmocka.h>
#include <mullion/bits.h>
#include <mullion/guest_clock.h>
#include <mullion/paravirtual.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE "docs/processor.md"
#define LINE_MAX_ 512
#define ANY ~0u
#define ALL ~0u

enum { EAX, EBX, ECX, EDX };

/* ---- the tables, with their words ----------------------------------------- */

#define CPUID_BITS(leaf, subleaf, number, bits, decision, what, why) \
	{ leaf, leaf, subleaf, number, (uint32_t)(bits), #decision, what, why },
#define CPUID_HIDDEN(first, last, what, why) \
	{ first, last, ANY, EAX, 0, "HIDDEN", what, why },
static const struct cpuid_row {
	uint32_t first, last, subleaf, number, bits;
	const char *decision, *what, *why;
} cpuid_rows[] = {
#include <kernel/exits/cpuid_table.def>
};

#define MSR(first, last, read, write, name, why) \
	{ first, last, #read, #write, name, why },
static const struct msr_row {
	uint32_t first, last;
	const char *read, *write, *name, *why;
} msr_rows[] = {
#include <kernel/exits/msr_table.def>
};

#define KVM_FEATURE(bit, when, name, why) { bit, #when, name, why },
static const struct kvm_row {
	uint32_t bit;
	const char *when, *name, *why;
} kvm_rows[] = {
#include <kernel/exits/kvm_table.def>
};

/* ---- the page ------------------------------------------------------------- */

static void put_bits(char *to, size_t room, uint32_t bits)
{
	size_t length = 0;

	if (bits == ALL) {
		snprintf(to, room, "all");
		return;
	}
	to[0] = 0;
	for (int i = 0; i < 32; i++) {
		int first = i;

		if (!(bits & BIT(i)))
			continue;
		while (i < 31 && bits & BIT(i + 1))
			i++;
		length += (size_t)snprintf(to + length, room - length, "%s%d",
					   length ? ", " : "", first);
		if (i > first)
			length += (size_t)snprintf(to + length, room - length,
						   "-%d", i);
	}
}

static void cpuid_line(const struct cpuid_row *row, char *to)
{
	static const char *const names[] = { "EAX", "EBX", "ECX", "EDX" };
	char leaf[40], bits[100] = "";

	if (row->bits) {
		put_bits(bits, sizeof bits, row->bits);
		snprintf(leaf, sizeof leaf,
			 row->subleaf == ANY ? "0x%x" : "0x%x.%u", row->first,
			 row->subleaf);
	} else if (row->first == row->last) {
		snprintf(leaf, sizeof leaf, "0x%x", row->first);
	} else {
		snprintf(leaf, sizeof leaf, "0x%x to 0x%x", row->first,
			 row->last);
	}
	snprintf(to, LINE_MAX_, "| %s | %s | %s | %s | %s | %s |", leaf,
		 row->bits ? names[row->number] : "", bits, row->what,
		 !strcmp(row->decision, "MACHINE") ? "the machine's" :
		 !strcmp(row->decision, "OWN")	   ? "Mullion's" :
						     "hidden",
		 row->why);
}

static const char *access_words(const char *function)
{
	static const char *const words[][2] = {
		{ "mtrr_read", "kept" },
		{ "mtrr_write", "kept" },
		{ "read_zero", "0" },
		{ "read_locked", "1" },
		{ "read_hwcr", "bit 24" },
		{ "write_nothing", "ignored" },
		{ "write_refused", "#GP" },
		{ "read_switched", "the guest's" },
		{ "write_switched", "the guest's" },
		{ "local_apic_msr_read", "the APIC's" },
		{ "local_apic_msr_write", "the APIC's" },
	};

	for (size_t i = 0; i < ARRAY_COUNT(words); i++)
		if (!strcmp(words[i][0], function))
			return words[i][1];
	return "kept";
}

static void msr_line(const struct msr_row *row, char *to)
{
	char number[40];

	snprintf(number, sizeof number,
		 row->first == row->last ? "0x%x" : "0x%x to 0x%x", row->first,
		 row->last);
	snprintf(to, LINE_MAX_, "| %s | %s | %s | %s | %s |", number, row->name,
		 access_words(row->read), access_words(row->write), row->why);
}

static void kvm_line(const struct kvm_row *row, char *to)
{
	static const char *const words[][2] = {
		{ "ALWAYS", "every VM" },
		{ "WITHOUT_DELIVERY",
		  "every VM, without virtual-interrupt delivery" },
		{ "SEVERAL", "VMs of 3 vCPUs and more" },
		{ "SHARED", "VMs that share a CPU" },
		{ "NEVER", "none" },
	};
	const char *whom = "";

	for (size_t i = 0; i < ARRAY_COUNT(words); i++)
		if (!strcmp(words[i][0], row->when))
			whom = words[i][1];
	snprintf(to, LINE_MAX_, "| %u | %s | %s | %s |", row->bit, row->name,
		 whom, row->why);
}

static void for_each_line(void (*use)(const char *line))
{
	char line[LINE_MAX_];

	use("| leaf | register | bits | what | guests see | why |");
	use("| --- | --- | --- | --- | --- | --- |");
	for (size_t i = 0; i < ARRAY_COUNT(cpuid_rows); i++) {
		cpuid_line(&cpuid_rows[i], line);
		use(line);
	}
	use("| MSR | name | read | written | why |");
	use("| --- | --- | --- | --- | --- |");
	for (size_t i = 0; i < ARRAY_COUNT(msr_rows); i++) {
		msr_line(&msr_rows[i], line);
		use(line);
	}
	use("| bit | feature | offered to | why |");
	use("| --- | --- | --- | --- |");
	for (size_t i = 0; i < ARRAY_COUNT(kvm_rows); i++) {
		kvm_line(&kvm_rows[i], line);
		use(line);
	}
}

static FILE *page;

/* The next line of the page that is a table's. */
static void must_be_next(const char *line)
{
	char found[LINE_MAX_ + 2];

	do {
		if (!fgets(found, sizeof found, page))
			fail_msg("%s ends before: %s (%s --print)", PAGE, line,
				 "build/unit/test_processor_page");
	} while (found[0] != '|');
	found[strcspn(found, "\n")] = 0;
	assert_string_equal(found, line);
}

static void the_page_says_what_the_tables_say(void **state)
{
	(void)state;
	page = fopen(PAGE, "r");
	if (!page)
		skip(); /* run from elsewhere */
	for_each_line(must_be_next);
	fclose(page);
}

static void print_line(const char *line)
{
	if (strncmp(line, "| --- ", 6) && strstr(line, " why |"))
		puts("");
	puts(line);
}

/* ---- what is decided ------------------------------------------------------ */

static bool row_is_for(const struct cpuid_row *row, uint32_t leaf,
		       uint32_t subleaf, uint32_t number)
{
	if (leaf < row->first || leaf > row->last ||
	    (row->subleaf != ANY && row->subleaf != subleaf))
		return false;
	return !row->bits || row->number == number;
}

static void no_bit_is_decided_twice(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(cpuid_rows); i++)
		for (size_t k = 0; k < i; k++) {
			const struct cpuid_row *a = &cpuid_rows[i];
			const struct cpuid_row *b = &cpuid_rows[k];
			uint32_t subleaf = a->subleaf == ANY ? b->subleaf :
							       a->subleaf;

			if (a->bits && b->bits && !(a->bits & b->bits))
				continue;
			if (row_is_for(b, a->first, subleaf, a->number))
				fail_msg("0x%x: \"%s\" and \"%s\"", a->first,
					 a->what, b->what);
		}
}

static void must_be_decided(const struct machine_cpuid *machine, size_t count)
{
	for (size_t i = 0; i < count; i++)
		for (uint32_t number = EAX; number <= EDX; number++) {
			uint32_t open = machine[i].registers[number];

			for (size_t k = 0; k < ARRAY_COUNT(cpuid_rows); k++)
				if (row_is_for(&cpuid_rows[k], machine[i].leaf,
					       machine[i].subleaf, number))
					open &= cpuid_rows[k].bits ?
							~cpuid_rows[k].bits :
							0;
			if (open)
				fail_msg("leaf 0x%x.%u, register %u: nobody "
					 "decided 0x%x",
					 machine[i].leaf, machine[i].subleaf,
					 number, open);
		}
}

static void what_processors_offer_is_decided(void **state)
{
	(void)state;
	must_be_decided(qemu_max, ARRAY_COUNT(qemu_max));
	must_be_decided(bochs_haswell, ARRAY_COUNT(bochs_haswell));
	must_be_decided(bochs_skylake, ARRAY_COUNT(bochs_skylake));
	must_be_decided(bochs_ryzen, ARRAY_COUNT(bochs_ryzen));
	must_be_decided(bochs_x2apic, ARRAY_COUNT(bochs_x2apic));
}

static void msrs_are_in_order_and_apart(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(msr_rows); i++) {
		assert_true(msr_rows[i].first <= msr_rows[i].last);
		if (i > 0)
			assert_true(msr_rows[i].first > msr_rows[i - 1].last);
	}
	for (size_t i = 1; i < ARRAY_COUNT(kvm_rows); i++)
		assert_true(kvm_rows[i].bit > kvm_rows[i - 1].bit);
}

static void every_row_has_words(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(cpuid_rows); i++)
		assert_true(*cpuid_rows[i].what && *cpuid_rows[i].why);
	for (size_t i = 0; i < ARRAY_COUNT(msr_rows); i++)
		assert_true(*msr_rows[i].name && *msr_rows[i].why);
	for (size_t i = 0; i < ARRAY_COUNT(kvm_rows); i++)
		assert_true(*kvm_rows[i].name && *kvm_rows[i].why);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_bit_is_decided_twice),
		cmocka_unit_test(what_processors_offer_is_decided),
		cmocka_unit_test(msrs_are_in_order_and_apart),
		cmocka_unit_test(every_row_has_words),
		cmocka_unit_test(the_page_says_what_the_tables_say),
	};

	if (argc > 1 && !strcmp(argv[1], "--print")) {
		for_each_line(print_line);
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
