/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/guest_ram.h"
#include <mullion/bits.h>
#include <mullion/guest_walk.h>

#define P BIT(0) /* flags of table entries */
#define W BIT(1)
#define U BIT(2)
#define A BIT(5)
#define D BIT(6)
#define PS BIT(7)
#define NX BIT(63)

#define CR0_WP BIT(16)
#define CR0_PG BIT(31)
#define CR4_PSE BIT(4)
#define CR4_PAE BIT(5)
#define CR4_LA57 BIT(12)
#define CR4_SMEP BIT(20)
#define CR4_SMAP BIT(21)
#define EFER_LMA BIT(10)
#define EFER_NXE BIT(11)
#define RFLAGS_AC BIT(18)

#define TABLE(level) (0x1000ull * (level)) /* where each level's table is */
#define PAE_TOP_OFFSET 0x20ull /* its four entries need no whole page */
#define CR3_FLAGS 0x18ull      /* PWT and PCD, no part of the address */
#define FRAME 0x20000ull       /* the 4 KiB page behind them */

/* A format, and an address whose index differs in every level. */
struct format {
	const char *name;
	uint64_t cr4, efer, linear;
	unsigned levels, size, bits;
};

static const struct format formats[] = {
	{ "32-bit", CR4_PSE, 0, 0x80403123, 2, 4, 10 },
	{ "PAE", CR4_PAE, 0, 0xc0605123, 3, 8, 9 },
	{ "4 levels", CR4_PAE, EFER_LMA, 0xffffff80c0605123, 4, 8, 9 },
	{ "5 levels", CR4_PAE | CR4_LA57, EFER_LMA, 0xff23ff80c0605123, 5, 8,
	  9 },
};
#define IS_32 (&formats[0])
#define IS_PAE (&formats[1])
#define IS_4 (&formats[2])
#define IS_5 (&formats[3])

static struct guest_paging paging;
static struct guest_event fault;
static gpa_t found;

static unsigned shift_of(const struct format *format, unsigned level)
{
	return 12 + (level - 1) * format->bits;
}

static uint8_t *entry_of(const struct format *format, unsigned level)
{
	uint64_t index = format->linear >> shift_of(format, level);

	index &= BIT(format->bits) - 1;
	if (format == IS_PAE && level == 3)
		index += PAE_TOP_OFFSET / format->size;
	return ram + TABLE(level) + index * format->size;
}

static uint64_t get(const struct format *format, unsigned level)
{
	uint64_t value = 0;

	memcpy(&value, entry_of(format, level), format->size);
	return value;
}

static void set(const struct format *format, unsigned level, uint64_t value)
{
	memcpy(entry_of(format, level), &value, format->size);
}

/* Maps the format's address: every entry with all rights. */
static void build(const struct format *format)
{
	ram_clear();
	for (unsigned level = format->levels; level > 1; level--)
		set(format, level, TABLE(level - 1) | P | W | U);
	if (format == IS_PAE)
		set(format, 3, TABLE(2) | P);
	set(format, 1, FRAME | P | W | U);
	paging = (struct guest_paging){
		.cr0 = CR0_PG | CR0_WP,
		.cr3 = TABLE(format->levels) | CR3_FLAGS,
		.cr4 = format->cr4,
		.efer = format->efer,
		.physical_bits = 40,
		.code_64 = format->efer & EFER_LMA,
	};
	if (format == IS_PAE)
		paging.cr3 += PAE_TOP_OFFSET;
}

static enum error walk(const struct format *format, enum guest_access access)
{
	memset(&fault, 0x5a, sizeof fault);
	memset(ram_reads, 0, sizeof ram_reads);
	return guest_walk(&ram_memory, &paging, gva(format->linear), access,
			  &found, &fault);
}

static void check_page_fault(const struct format *format,
			     enum guest_access access, uint32_t code)
{
	assert_int_equal(walk(format, access), ERR_NOT_MAPPED);
	assert_int_equal(fault.kind, EVENT_EXCEPTION);
	assert_int_equal(fault.vector, 14);
	assert_true(fault.has_error_code);
	assert_int_equal(fault.error_code, code);
	assert_int_equal(fault.cr2, format->linear);
}

#define FOR_EACH_FORMAT(format) \
	for (const struct format *format = formats; \
	     format < formats + ARRAY_COUNT(formats); format++)

static void small_pages_are_found(void **state)
{
	(void)state;
	FOR_EACH_FORMAT(format)
	{
		build(format);
		assert_int_equal(walk(format, ACCESS_READ), ERR_NONE);
		assert_int_equal(found.value, FRAME | 0x123);
		assert_int_equal(ram_most_reads(0, RAM_SIZE), 1);
	}
}

static void large_pages_are_found(void **state)
{
	(void)state;
	build(IS_32); /* with address bits 39:32 in bits 20:13 */
	set(IS_32, 2, 0x80400000 | 0x5aull << 13 | P | W | U | PS | BIT(12));
	assert_int_equal(walk(IS_32, ACCESS_READ), ERR_NONE);
	assert_int_equal(found.value, 0x5a80403123);
	for (const struct format *format = IS_PAE; format <= IS_5; format++) {
		build(format);
		set(format, 2, 0x1240000000 | P | W | U | PS | BIT(12));
		assert_int_equal(walk(format, ACCESS_READ), ERR_NONE);
		assert_int_equal(found.value, 0x1240005123);
	}
	for (const struct format *format = IS_4; format <= IS_5; format++) {
		build(format);
		set(format, 3, 0x1240000000 | P | W | U | PS | BIT(12));
		assert_int_equal(walk(format, ACCESS_READ), ERR_NONE);
		assert_int_equal(found.value, 0x1240605123);
	}
}

static void bit_seven_is_no_size_where_it_means_something_else(void **state)
{
	(void)state;
	build(IS_32); /* CR4.PSE off */
	paging.cr4 = 0;
	set(IS_32, 2, TABLE(1) | P | W | U | PS);
	assert_int_equal(walk(IS_32, ACCESS_READ), ERR_NONE);
	assert_int_equal(found.value, FRAME | 0x123);
	FOR_EACH_FORMAT(format)
	{ /* PAT of a 4 KiB page */
		build(format);
		set(format, 1, FRAME | P | W | U | PS);
		assert_int_equal(walk(format, ACCESS_READ), ERR_NONE);
		assert_int_equal(found.value, FRAME | 0x123);
	}
}

static void absent_entries_fault_at_every_level(void **state)
{
	(void)state;
	FOR_EACH_FORMAT(format)
	{
		for (unsigned level = 1; level <= format->levels; level++) {
			build(format);
			set(format, level, get(format, level) & ~P);
			check_page_fault(format, ACCESS_READ, 0);
			check_page_fault(format, ACCESS_WRITE, 2);
			check_page_fault(format, ACCESS_FETCH, 0);
			paging.cpl = 3;
			paging.cr4 |= CR4_SMEP;
			check_page_fault(format, ACCESS_FETCH, 0x14);
		}
	}
}

/* Sets bit @bit of a level's entry; says whether that is a reserved bit. */
static bool faults_as_reserved(const struct format *format, unsigned level,
			       unsigned bit)
{
	uint64_t old = get(format, level);
	bool reserved;

	set(format, level, old | BIT(bit));
	reserved = walk(format, ACCESS_READ) == ERR_NOT_MAPPED &&
		   fault.error_code == (BIT(3) | BIT(0));
	set(format, level, old);
	return reserved;
}

static void check_reserved(const struct format *format, unsigned level,
			   uint64_t expected)
{
	for (unsigned bit = 0; bit < format->size * 8; bit++)
		assert_int_equal(faults_as_reserved(format, level, bit),
				 (expected & BIT(bit)) != 0);
}

static void reserved_bits_of_tables_fault(void **state)
{
	(void)state;
	build(IS_32);
	check_reserved(IS_32, 1, 0);
	check_reserved(IS_32, 2, 0);
	build(IS_PAE);
	check_reserved(IS_PAE, 1, BITS(63, 40));
	check_reserved(IS_PAE, 2, BITS(63, 40));
	check_reserved(IS_PAE, 3, BITS(63, 40) | BITS(8, 5) | BITS(2, 1));
	paging.efer |= EFER_NXE;
	check_reserved(IS_PAE, 1, BITS(62, 40));
	check_reserved(IS_PAE, 3, BITS(63, 40) | BITS(8, 5) | BITS(2, 1));
	build(IS_5);
	paging.physical_bits = 36;
	for (unsigned level = 1; level <= 2; level++)
		check_reserved(IS_5, level, BITS(51, 36) | NX);
	/* Level 3's table is at no address that a 1 GiB page could have. */
	for (unsigned level = 3; level <= 5; level++)
		check_reserved(IS_5, level, BITS(51, 36) | NX | PS);
	paging.efer |= EFER_NXE;
	paging.physical_bits = 52;
	for (unsigned level = 1; level <= 2; level++)
		check_reserved(IS_5, level, 0);
}

static void reserved_bits_of_large_pages_fault(void **state)
{
	(void)state;
	build(IS_32);
	set(IS_32, 2, P | W | U | PS);
	check_reserved(IS_32, 2, BIT(21));
	paging.physical_bits = 36;
	check_reserved(IS_32, 2, BITS(21, 17));
	paging.physical_bits = 46;
	check_reserved(IS_32, 2, BIT(21));
	paging.physical_bits = 32;
	check_reserved(IS_32, 2, BITS(21, 13));
	build(IS_PAE);
	set(IS_PAE, 2, P | W | U | PS);
	check_reserved(IS_PAE, 2, BITS(63, 40) | BITS(20, 13));
	build(IS_4);
	set(IS_4, 2, P | W | U | PS);
	check_reserved(IS_4, 2, BITS(51, 40) | NX | BITS(20, 13));
	set(IS_4, 3, P | W | U | PS);
	check_reserved(IS_4, 3, BITS(51, 40) | NX | BITS(29, 13));
}

/* ---- rights ------------------------------------------------------------- */

/* Every switch that rights depend on, as bits of a number. */
enum {
	CASE_USER_PROGRAM = 1,
	CASE_USER_PAGE = 2,
	CASE_WRITABLE = 4,
	CASE_NO_EXECUTE = 8,
	CASE_WP = 16,
	CASE_SMEP = 32,
	CASE_SMAP = 64,
	CASE_AC = 128,
	CASE_COUNT = 256
};

/* "Paging: Access Rights", sentence by sentence. */
static bool manual_allows(unsigned number, enum guest_access access)
{
	bool page_user = number & CASE_USER_PAGE;

	if (number & CASE_USER_PROGRAM && !page_user)
		return false;
	if (access == ACCESS_FETCH) {
		if (number & CASE_NO_EXECUTE)
			return false;
		return !(number & CASE_SMEP && page_user &&
			 !(number & CASE_USER_PROGRAM));
	}
	if (!(number & CASE_USER_PROGRAM) && page_user && number & CASE_SMAP &&
	    !(number & CASE_AC))
		return false;
	if (access == ACCESS_READ || number & CASE_WRITABLE)
		return true;
	return !(number & (CASE_USER_PROGRAM | CASE_WP));
}

static void set_case(const struct format *format, unsigned level,
		     unsigned number)
{
	uint64_t entry = get(format, level);

	if (!(number & CASE_USER_PAGE))
		entry &= ~U;
	if (!(number & CASE_WRITABLE))
		entry &= ~W;
	if (number & CASE_NO_EXECUTE)
		entry |= NX;
	set(format, level, entry);
	paging.cpl = number & CASE_USER_PROGRAM ? 3 : 0;
	paging.efer |= EFER_NXE;
	paging.cr0 = CR0_PG | (number & CASE_WP ? CR0_WP : 0);
	paging.cr4 |= (number & CASE_SMEP ? CR4_SMEP : 0) |
		      (number & CASE_SMAP ? CR4_SMAP : 0);
	paging.rflags = number & CASE_AC ? RFLAGS_AC : 0;
}

static void check_case(const struct format *format, unsigned level,
		       unsigned number, enum guest_access access)
{
	uint32_t code = 1 | (access == ACCESS_WRITE ? 2 : 0) |
			(number & CASE_USER_PROGRAM ? 4 : 0);

	build(format);
	set_case(format, level, number);
	if (format == IS_32)
		number &= ~CASE_NO_EXECUTE; /* its entries have no bit 63 */
	if (access == ACCESS_FETCH && (format != IS_32 || number & CASE_SMEP))
		code |= 16;
	if (manual_allows(number, access))
		assert_int_equal(walk(format, access), ERR_NONE);
	else
		check_page_fault(format, access, code);
}

static void rights_are_those_of_the_manual(void **state)
{
	(void)state;
	FOR_EACH_FORMAT(format)
	{
		for (unsigned level = 1; level <= format->levels; level++) {
			if (format == IS_PAE && level == 3)
				continue; /* has no rights */
			for (unsigned n = 0; n < CASE_COUNT; n++) {
				check_case(format, level, n, ACCESS_READ);
				check_case(format, level, n, ACCESS_WRITE);
				check_case(format, level, n, ACCESS_FETCH);
			}
		}
	}
}

/* ---- flags -------------------------------------------------------------- */

static void accessed_and_dirty_are_set(void **state)
{
	(void)state;
	FOR_EACH_FORMAT(format)
	{
		unsigned top = format == IS_PAE ? 2 : format->levels;

		build(format);
		assert_int_equal(walk(format, ACCESS_READ), ERR_NONE);
		for (unsigned level = 1; level <= top; level++)
			assert_int_equal(get(format, level) & (A | D), A);
		if (format == IS_PAE)
			assert_int_equal(get(format, 3), TABLE(2) | P);
		assert_int_equal(walk(format, ACCESS_WRITE), ERR_NONE);
		assert_int_equal(get(format, 1), FRAME | P | W | U | A | D);
		for (unsigned level = 2; level <= top; level++)
			assert_int_equal(get(format, level) & (A | D), A);
	}
}

static void a_fault_sets_no_flags(void **state)
{
	(void)state;
	FOR_EACH_FORMAT(format)
	{
		build(format);
		set(format, 1, FRAME | P | U);
		check_page_fault(format, ACCESS_WRITE, 3);
		for (unsigned level = 1; level <= format->levels; level++)
			assert_int_equal(get(format, level) & (A | D), 0);
	}
}

static void unmap(void)
{
	set(IS_4, 1, 0);
}

static void entry_that_changed_is_left_alone(void **state)
{
	(void)state;
	build(IS_4);
	for (unsigned level = 2; level <= 4; level++)
		set(IS_4, level, get(IS_4, level) | A);
	ram_before_swap = unmap;
	assert_int_equal(walk(IS_4, ACCESS_READ), ERR_BUSY);
	assert_int_equal(get(IS_4, 1), 0);
}

/* ---- addresses ---------------------------------------------------------- */

static void tables_outside_memory_are_an_error(void **state)
{
	(void)state;
	FOR_EACH_FORMAT(format)
	{
		build(format);
		paging.cr3 = RAM_SIZE;
		assert_int_equal(walk(format, ACCESS_READ), ERR_BAD_ADDRESS);
	}
}

static void address_that_is_not_canonical_is_protected(void **state)
{
	struct format wrong = *IS_4;

	(void)state;
	build(IS_4);
	wrong.linear &= BITS(47, 0);
	assert_int_equal(walk(&wrong, ACCESS_READ), ERR_NOT_MAPPED);
	assert_int_equal(fault.vector, 13);
	assert_int_equal(fault.error_code, 0);
	assert_true(fault.has_error_code);
	assert_true(guest_is_canonical(&paging, 0x00007fffffffffff));
	assert_false(guest_is_canonical(&paging, 0x0000800000000000));
	paging.cr4 |= CR4_LA57;
	assert_true(guest_is_canonical(&paging, 0x0000800000000000));
	assert_false(guest_is_canonical(&paging, 0x0100000000000000));
	assert_true(guest_is_canonical(&paging, 0xff00000000000000));
}

static void narrow_code_has_narrow_addresses(void **state)
{
	(void)state;
	ram_clear();
	paging = (struct guest_paging){ .physical_bits = 40 };
	assert_int_equal(guest_walk(&ram_memory, &paging, gva(0x123456789a),
				    ACCESS_WRITE, &found, &fault),
			 ERR_NONE);
	assert_int_equal(found.value, 0x3456789a);
	build(IS_PAE);
	assert_int_equal(guest_walk(&ram_memory, &paging,
				    gva(IS_PAE->linear | BIT(40)), ACCESS_READ,
				    &found, &fault),
			 ERR_NONE);
	assert_int_equal(found.value, FRAME | 0x123);
	/* 32-bit code of a 64-bit system. */
	build(IS_4);
	paging.code_64 = false;
	check_page_fault(&(struct format){ .linear = 0xc0605123 }, ACCESS_READ,
			 0);
}

static void system_state_gives_mode_and_paging(void **state)
{
	struct guest_system system = { .cr0 = 1, .cr3 = 2, .cr4 = 3, .cpl = 3 };
	struct guest_segment *cs = &system.segments[SEGMENT_CS];

	(void)state;
	assert_int_equal(guest_code_mode(&system), CODE_16);
	cs->attributes = BIT(10);
	assert_int_equal(guest_code_mode(&system), CODE_32);
	cs->attributes = BIT(9); /* means nothing without EFER.LMA */
	assert_int_equal(guest_code_mode(&system), CODE_16);
	system.efer = EFER_LMA;
	assert_int_equal(guest_code_mode(&system), CODE_64);
	paging = guest_paging_of(&system, 4, 48);
	assert_true(paging.code_64);
	assert_int_equal(paging.cr0, 1);
	assert_int_equal(paging.cr3, 2);
	assert_int_equal(paging.cr4, 3);
	assert_int_equal(paging.efer, EFER_LMA);
	assert_int_equal(paging.rflags, 4);
	assert_int_equal(paging.cpl, 3);
	assert_int_equal(paging.physical_bits, 48);
}

/* ---- ranges ------------------------------------------------------------- */

/* Maps two pages that lie apart; returns the end of the first. */
static gva_t build_two_pages(void)
{
	uint64_t entry = 0x30000 | P | W | U;

	build(IS_4);
	memcpy(entry_of(IS_4, 1) + 8, &entry, sizeof entry);
	return gva((IS_4->linear | 0xfff) + 1);
}

static gva_t before(gva_t end, uint64_t bytes)
{
	return gva(end.value - bytes);
}

static void copies_cross_pages(void **state)
{
	gva_t end = build_two_pages();
	char in[8];

	(void)state;
	memcpy(ram + FRAME + 0xffd, "abc", 3);
	memcpy(ram + 0x30000, "defg", 5);
	assert_int_equal(guest_read_linear(&ram_memory, &paging, before(end, 3),
					   in, 8, &fault),
			 ERR_NONE);
	assert_memory_equal(in, "abcdefg", 8);
	assert_int_equal(
		guest_read_linear(&ram_memory, &paging, end, in, 0, &fault),
		ERR_NONE);
	assert_int_equal(guest_read_linear(&ram_memory, &paging, end, NULL,
					   GUEST_LINEAR_MAX + 1, &fault),
			 ERR_TOO_LARGE);
}

static void a_range_faults_where_its_first_bad_page_is(void **state)
{
	struct guest_range range;
	gva_t end = build_two_pages();

	(void)state;
	end.value += PAGE_SIZE; /* behind it nothing is mapped */
	assert_int_equal(guest_walk_range(&ram_memory, &paging, before(end, 2),
					  4, ACCESS_WRITE, &range, &fault),
			 ERR_NOT_MAPPED);
	assert_int_equal(fault.cr2, end.value);
	assert_int_equal(fault.error_code, 2);
}

static void copies_leave_memory_with_an_error(void **state)
{
	uint32_t value = 0;

	(void)state;
	build(IS_4);
	set(IS_4, 1, 0xfee00000 | P | W | U);
	assert_int_equal(guest_read_linear(&ram_memory, &paging,
					   gva(IS_4->linear), &value, 4,
					   &fault),
			 ERR_BAD_ADDRESS);
}

static void fetch_takes_what_is_there(void **state)
{
	gva_t end = build_two_pages();
	uint8_t bytes[INSTRUCTION_MAX];
	size_t length = 0;

	(void)state;
	memcpy(ram + FRAME + 0xffb, "12345", 5);
	memcpy(ram + 0x30000, "6789abcdef!", 11);
	assert_int_equal(guest_fetch(&ram_memory, &paging, before(end, 5),
				     bytes, &length, &fault),
			 ERR_NONE);
	assert_int_equal(length, 15);
	assert_memory_equal(bytes, "123456789abcdef", 15);
	assert_int_equal(guest_fetch(&ram_memory, &paging, before(end, 15),
				     bytes, &length, &fault),
			 ERR_NONE);
	assert_int_equal(length, 15);
	end.value += PAGE_SIZE;
	assert_int_equal(guest_fetch(&ram_memory, &paging, before(end, 4),
				     bytes, &length, &fault),
			 ERR_NONE);
	assert_int_equal(length, 4);
	assert_int_equal(
		guest_fetch(&ram_memory, &paging, end, bytes, &length, &fault),
		ERR_NOT_MAPPED);
	assert_int_equal(fault.cr2, end.value);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(small_pages_are_found),
		cmocka_unit_test(large_pages_are_found),
		cmocka_unit_test(
			bit_seven_is_no_size_where_it_means_something_else),
		cmocka_unit_test(absent_entries_fault_at_every_level),
		cmocka_unit_test(reserved_bits_of_tables_fault),
		cmocka_unit_test(reserved_bits_of_large_pages_fault),
		cmocka_unit_test(rights_are_those_of_the_manual),
		cmocka_unit_test(accessed_and_dirty_are_set),
		cmocka_unit_test(a_fault_sets_no_flags),
		cmocka_unit_test(entry_that_changed_is_left_alone),
		cmocka_unit_test(tables_outside_memory_are_an_error),
		cmocka_unit_test(address_that_is_not_canonical_is_protected),
		cmocka_unit_test(narrow_code_has_narrow_addresses),
		cmocka_unit_test(system_state_gives_mode_and_paging),
		cmocka_unit_test(copies_cross_pages),
		cmocka_unit_test(a_range_faults_where_its_first_bad_page_is),
		cmocka_unit_test(copies_leave_memory_with_an_error),
		cmocka_unit_test(fetch_takes_what_is_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
