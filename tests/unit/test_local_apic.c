/* SPDX-License-Identifier: MIT */
#include "local_apic_fixture.h"

/* ---- state -------------------------------------------------------------- */

static void a_reset_leaves_what_the_manual_says(void **state)
{
	(void)state;
	local_apic_reset(&vcpus[1]);
	assert_int_equal(vcpus[1].apic.base, ENABLED);
	assert_int_equal(apic->base, ENABLED | 0x100); /* bootstrap */
	assert_int_equal(local_apic_mmio_read(&vcpus[1], 0x20, 4), 1 << 24);
	assert_int_equal(local_apic_mmio_read(&vcpus[1], 0x30, 4), 0x50014);
	assert_int_equal(local_apic_mmio_read(&vcpus[1], 0xf0, 4), 0xff);
	assert_int_equal(local_apic_mmio_read(&vcpus[1], 0xe0, 4), 0xffffffff);
	for (uint32_t lvt = 0x320; lvt <= 0x370; lvt += 0x10)
		assert_int_equal(local_apic_mmio_read(&vcpus[1], lvt, 4),
				 MASKED);
	assert_true(vcpus[1].apic.timer_deadline == ARCH_NO_DEADLINE);
}

/* Every register, but for the current count, which moves. */
static void read_all(uint32_t registers[0x40])
{
	for (uint32_t i = 0; i < 0x40; i++)
		registers[i] = i == 0x39 ? 0 : read_at(i * 16);
}

static void an_init_undoes_everything(void **state)
{
	uint32_t before[0x40], changed[0x40], after[0x40];
	int changes = 0;

	(void)state;
	local_apic_init(&vcpus[0]);
	read_all(before);
	write_at(0xf0, 0x1ee);
	write_at(0xd0, ~0u);
	write_at(0xe0, 0);
	write_at(0x310, ~0u);
	write_at(0x300, 0x80042);
	write_at(0x2f0, 0); /* an error, ... */
	write_at(0x280, 0); /* ... latched */
	for (uint32_t lvt = 0x320; lvt <= 0x370; lvt += 0x10)
		write_at(lvt, 0xee);
	write_at(0x3e0, 3);
	write_at(0x380, 1000);
	local_apic_raise(apic, 0x41, true);
	local_apic_take_posted(apic);
	local_apic_accept(apic, 0x41);
	write_at(0x80, 0x55);
	read_all(changed);
	write_at(0x2f0, 0);
	local_apic_init(&vcpus[0]);
	read_all(after);
	for (int i = 0; i < 0x40; i++)
		changes += changed[i] != before[i];
	/* SVR, LDR, DFR, ICR, ESR, LVT, timer, IRR, TMR, ISR, TPR, PPR */
	assert_int_equal(changes, 1 + 1 + 1 + 2 + 1 + 6 + 2 + 2 + 1 + 1 + 2);
	assert_memory_equal(before, after, sizeof before);
	write_at(0x280, 0);
	assert_int_equal(read_at(0x280), 0x80); /* by this test's reads alone */
	assert_true(apic->timer_deadline == ARCH_NO_DEADLINE);
}

static void an_init_keeps_id_and_base(void **state)
{
	(void)state;
	go_x2apic(1);
	write_msr(0x832, 0x400ec);
	write_msr(0x6e0, ~1ull);
	local_apic_init(&vcpus[0]);
	assert_int_equal(apic->base, X2APIC | 0x100);
	assert_int_equal(read_msr(0x80f), 0xff);
	assert_int_equal(read_msr(0x6e0), 0);
}

static uint32_t word_at(uint32_t offset)
{
	uint32_t word;

	memcpy(&word, (const char *)apic + offset, sizeof word);
	return word;
}

/* SDM 326019, "Virtual APIC State": a processor works on the same bytes. */
static void registers_lie_where_a_processor_looks_for_them(void **state)
{
	(void)state;
	write_at(0x80, 0x31);
	write_at(0x320, 0x700ee);
	write_at(0x380, 77);
	assert_int_equal(word_at(0x80), 0x31);
	assert_int_equal(word_at(0xf0), 0x1ff);
	assert_int_equal(word_at(0x320), 0x700ee);
	assert_int_equal(word_at(0x380), 0);
	write_at(0x320, 0x200ee);
	write_at(0x380, 77);
	assert_int_equal(word_at(0x380), 77);
	local_apic_raise(apic, 0x93, true);
	assert_int_equal(word_at(0x240), 0); /* only its own CPU moves it */
	assert_int_equal(word_at(0x1c0), 0);
	local_apic_take_posted(apic);
	assert_int_equal(word_at(0x240), 1 << 0x13);
	assert_int_equal(word_at(0x1c0), 1 << 0x13);
	local_apic_accept(apic, 0x93);
	assert_int_equal(word_at(0x240), 0);
	assert_int_equal(word_at(0x140), 1 << 0x13);
}

/* An MSR of 64 bits shows the three words behind a register's own. */
static void nothing_is_kept_behind_a_register(void **state)
{
	(void)state;
	for (uint32_t offset = 0; offset < 0x400; offset += 16)
		write_at(offset, ~0u);
	for (uint32_t offset = 0; offset < 0x400; offset += 4)
		if (offset % 16)
			assert_int_equal(word_at(offset), 0);
}

static void identities_are_shown_as_the_mode_has_them(void **state)
{
	(void)state;
	apic->id = 5;
	go_x2apic(1);
	assert_int_equal(word_at(0x20), 5);
	assert_int_equal(word_at(0xd0), 0x20);
	assert_int_equal(write_msr(MSR_BASE, 0xfee00000), ERR_NONE);
	assert_int_equal(write_msr(MSR_BASE, ENABLED), ERR_NONE);
	assert_int_equal(word_at(0x20), 5 << 24);
	assert_int_equal(word_at(0xd0), 0);
}

static bool changed(void)
{
	bool was = apic->changed;

	apic->changed = false;
	return was;
}

static bool levels_changed(void)
{
	bool was = apic->levels_changed;

	apic->levels_changed = false;
	return was;
}

static void a_processor_is_told_what_has_changed(void **state)
{
	(void)state;
	assert_true(changed() && levels_changed());
	assert_int_equal(local_apic_requested(apic), 0);
	assert_int_equal(local_apic_in_service(apic), 0);
	local_apic_raise(apic, 0x52, false);
	assert_int_equal(local_apic_requested(apic), 0);
	assert_false(changed());
	local_apic_take_posted(apic);
	assert_int_equal(local_apic_requested(apic), 0x52);
	assert_true(changed() && !levels_changed());
	local_apic_take_posted(apic);
	assert_false(changed());
	local_apic_accept(apic, 0x52);
	assert_int_equal(local_apic_requested(apic), 0);
	assert_int_equal(local_apic_in_service(apic), 0x52);
	assert_true(changed());
	write_at(0xb0, 0);
	assert_int_equal(local_apic_in_service(apic), 0);
	assert_true(changed() && !levels_changed());
	local_apic_init(&vcpus[0]);
	assert_true(changed() && levels_changed());
}

static void a_processor_is_told_which_ends_to_report(void **state)
{
	(void)state;
	levels_changed();
	local_apic_raise(apic, 0x30, true);
	local_apic_raise(apic, 0x93, true);
	local_apic_raise(apic, 0xff, true);
	local_apic_raise(apic, 0x94, false);
	local_apic_take_posted(apic);
	assert_true(levels_changed());
	assert_true(local_apic_levels(apic, 0) == 1ull << 0x30);
	assert_true(local_apic_levels(apic, 1) == 0);
	assert_true(local_apic_levels(apic, 2) == 1ull << 0x13);
	assert_true(local_apic_levels(apic, 3) == 1ull << 63);
	local_apic_raise(apic, 0x93, true); /* as before */
	local_apic_take_posted(apic);
	assert_false(levels_changed());
	local_apic_raise(apic, 0x93, false);
	local_apic_take_posted(apic);
	assert_true(levels_changed());
	assert_true(local_apic_levels(apic, 2) == 0);
}

static void what_a_processor_ended_reaches_the_io_apic(void **state)
{
	(void)state;
	io_apic_write(&vm, 0, 4, 0x10 + 2 * 5);
	io_apic_write(&vm, 0x10, 4, 0x8041); /* level, to vCPU 0 */
	io_apic_set_line(&vm, 5, true);
	assert_int_equal(local_apic_pending(apic), 0x41);
	memset((char *)apic + 0x200, 0, 0x80); /* delivered and ended */
	local_apic_ended(&vcpus[0], 0x41);     /* the line is still high */
	assert_true(kicked_locked);
	assert_int_equal(local_apic_pending(apic), 0x41);
}

/* ---- priorities --------------------------------------------------------- */

static void the_highest_vector_is_delivered_first(void **state)
{
	(void)state;
	assert_int_equal(local_apic_pending(apic), NONE);
	local_apic_raise(apic, 0x31, false);
	local_apic_raise(apic, 0xfe, false);
	local_apic_raise(apic, 0x80, false);
	assert_int_equal(local_apic_pending(apic), 0xfe);
	local_apic_accept(apic, 0xfe);
	assert_int_equal(read_at(0x170), 1u << 30); /* ISR */
	assert_int_equal(read_at(0x270), 0);	    /* IRR */
	assert_int_equal(read_at(0xa0), 0xf0);
	assert_int_equal(local_apic_pending(apic), NONE);
	write_at(0xb0, 0);
	assert_int_equal(local_apic_pending(apic), 0x80);
	local_apic_accept(apic, 0x80);
	write_at(0xb0, 0);
	assert_int_equal(local_apic_pending(apic), 0x31);
}

static void a_vector_of_the_same_class_waits(void **state)
{
	(void)state;
	local_apic_raise(apic, 0x31, false);
	local_apic_accept(apic, 0x31);
	local_apic_raise(apic, 0x3f, false);
	assert_int_equal(local_apic_pending(apic), NONE);
	local_apic_raise(apic, 0x40, false);
	assert_int_equal(local_apic_pending(apic), 0x40);
}

static void the_task_priority_holds_vectors_back(void **state)
{
	(void)state;
	local_apic_raise(apic, 0x5f, false);
	write_at(0x80, 0x50);
	assert_int_equal(local_apic_pending(apic), NONE);
	assert_int_equal(local_apic_cr8(apic), 5);
	local_apic_set_cr8(apic, 4);
	assert_int_equal(read_at(0x80), 0x40);
	assert_int_equal(local_apic_pending(apic), 0x5f);
	local_apic_accept(apic, 0x5f);
	write_at(0x80, 0x57); /* the same class: PPR is the TPR */
	assert_int_equal(read_at(0xa0), 0x57);
	local_apic_set_cr8(apic, 5);
	assert_int_equal(read_at(0x80), 0x57);
	local_apic_set_cr8(apic, 6);
	assert_int_equal(read_at(0x80), 0x60);
}

static void a_disabled_apic_takes_and_delivers_nothing(void **state)
{
	(void)state;
	write_at(0xf0, 0xff);
	local_apic_raise(apic, 0x41, false);
	assert_int_equal(local_apic_pending(apic), NONE);
	write_at(0xf0, 0x1ff);
	assert_int_equal(local_apic_pending(apic), NONE);
	local_apic_raise(apic, 15, false); /* illegal */
	assert_int_equal(local_apic_pending(apic), NONE);
	assert_int_equal(read_at(0x200), 0);
}

static void an_end_without_an_interrupt_is_harmless(void **state)
{
	(void)state;
	write_at(0xb0, 0);
	assert_int_equal(local_apic_pending(apic), NONE);
}

static void the_end_of_a_level_interrupt_reaches_the_io_apic(void **state)
{
	(void)state;
	io_apic_write(&vm, 0, 4, 0x10 + 2 * 5);
	io_apic_write(&vm, 0x10, 4, 0x8041); /* level, to vCPU 0 */
	io_apic_set_line(&vm, 5, true);
	assert_int_equal(local_apic_pending(apic), 0x41);
	local_apic_accept(apic, 0x41);
	assert_int_equal(read_at(0x1a0), 1 << 1); /* TMR */
	write_at(0xb0, 0);			  /* the line is still high */
	assert_true(kicked_locked);
	assert_int_equal(local_apic_pending(apic), 0x41);
	local_apic_accept(apic, 0x41);
	io_apic_set_line(&vm, 5, false);
	write_at(0xb0, 0);
	assert_int_equal(local_apic_pending(apic), NONE);
	local_apic_raise(apic, 0x41, false);
	assert_int_equal(read_at(0x1a0), 0); /* an edge this time */
}

static void the_end_of_an_edge_does_not(void **state)
{
	(void)state;
	io_apic_write(&vm, 0, 4, 0x10 + 2 * 5);
	io_apic_write(&vm, 0x10, 4, 0x8042);
	io_apic_set_line(&vm, 5, true);
	local_apic_raise(apic, 0x41, true); /* another one is a level */
	local_apic_raise(apic, 0x42, false);
	assert_int_equal(local_apic_pending(apic), 0x42);
	local_apic_accept(apic, 0x42);
	write_at(0xb0, 0);
	assert_int_equal(read_at(0x220), 1 << 1); /* 0x41 alone */
	local_apic_raise(apic, 0x43, false);
	assert_int_equal(read_at(0x1a0), 1 << 1); /* still a level */
}

/* ---- registers ---------------------------------------------------------- */

static void odd_accesses_do_no_harm(void **state)
{
	(void)state;
	write_at(0x80, 0x31);
	local_apic_mmio_write(&vcpus[0], 0x80, 1, 0x77);
	local_apic_mmio_write(&vcpus[0], 0x80, 8, 0x77);
	local_apic_mmio_write(&vcpus[0], 0x82, 4, 0x77);
	local_apic_mmio_write(&vcpus[0], 0x84, 4, 0x77);
	assert_int_equal(read_at(0x80), 0x31);
	assert_int_equal(local_apic_mmio_read(&vcpus[0], 0x80, 1), 0x31);
	assert_int_equal(local_apic_mmio_read(&vcpus[0], 0x32, 2), 5);
	assert_int_equal(local_apic_mmio_read(&vcpus[0], 0xf0, 1), 0xff);
	assert_int_equal(local_apic_mmio_read(&vcpus[0], 0x32, 4), 0);
	assert_int_equal(local_apic_mmio_read(&vcpus[0], 0x80, 8), 0);
	assert_int_equal(local_apic_mmio_read(&vcpus[0], 0x80, 0), 0);
	for (uint32_t offset = 0; offset < 0x1000; offset++)
		for (uint32_t size = 1; size <= 8; size *= 2) {
			local_apic_mmio_read(&vcpus[0], offset, size);
			local_apic_mmio_write(&vcpus[0], offset, size, ~0ull);
		}
}

static void read_only_registers_stay(void **state)
{
	static const uint32_t offsets[] = { 0x20,  0x30,  0x90,	 0xa0,
					    0x100, 0x180, 0x200, 0x390 };

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(offsets); i++) {
		uint32_t before = read_at(offsets[i]);

		write_at(offsets[i], ~before);
		assert_int_equal(read_at(offsets[i]), before);
	}
	write_at(0x280, 0);
	assert_int_equal(read_at(0x280), 0); /* and that is no error */
}

static void reserved_bits_are_not_kept(void **state)
{
	static const uint32_t kept[][2] = {
		{ 0x80, 0xff },	    { 0xd0, 0xff000000 },  { 0xe0, 0xffffffff },
		{ 0xf0, 0x1ff },    { 0x310, 0xff000000 }, { 0x320, 0x700ff },
		{ 0x330, 0x107ff }, { 0x340, 0x107ff },	   { 0x350, 0x1a7ff },
		{ 0x360, 0x1a7ff }, { 0x370, 0x100ff },	   { 0x3e0, 0xb },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(kept); i++) {
		write_at(kept[i][0], ~0u);
		assert_int_equal(read_at(kept[i][0]), kept[i][1]);
	}
	write_at(0xe0, 0);
	assert_int_equal(read_at(0xe0), 0x0fffffff);
}

static void lvt_entries_are_masked_while_software_is_off(void **state)
{
	(void)state;
	write_at(0x350, 0x700);
	assert_int_equal(read_at(0x350), 0x700);
	write_at(0xf0, 0xff);
	assert_int_equal(read_at(0x350), MASKED | 0x700);
	write_at(0x350, 0x700);
	assert_int_equal(read_at(0x350), MASKED | 0x700);
}

/* ---- errors ------------------------------------------------------------- */

static void an_error_interrupts_and_is_latched_by_a_write(void **state)
{
	(void)state;
	write_at(0x370, 0xe5);
	assert_int_equal(read_at(0x2f0), 0); /* CMCI: not there */
	assert_int_equal(local_apic_pending(apic), 0xe5);
	assert_int_equal(read_at(0x280), 0);
	write_at(0x280, 0);
	assert_int_equal(read_at(0x280), 0x80);
	write_at(0x280, 0);
	assert_int_equal(read_at(0x280), 0);
}

static void each_new_error_interrupts_once(void **state)
{
	(void)state;
	write_at(0x370, 0x10); /* the lowest legal vector */
	for (int error = 0; error < 4; error++) {
		/* An illegal register, then an illegal vector, both again. */
		write_at(error % 2 ? 0x300 : 0x2f0, 1);
		assert_int_equal(local_apic_pending(apic),
				 error < 2 ? 0x10 : NONE);
		if (error < 2)
			local_apic_accept(apic, 0x10);
		write_at(0xb0, 0);
	}
	write_at(0x280, 0);
	assert_int_equal(read_at(0x280), 0xa0);
}

static void vectors_from_16_up_are_legal(void **state)
{
	(void)state;
	write_at(0x320, 0x10);
	write_at(0x380, 1);
	local_apic_timer(&vcpus[0], fake_time + 1000);
	assert_int_equal(local_apic_pending(apic), 0x10);
	write_at(0x310, 1 << 24);
	write_at(0x300, 0x10);
	assert_int_equal(local_apic_pending(&vcpus[1].apic), 0x10);
	write_at(0x300, 0x40011);
	write_at(0x280, 0);
	assert_int_equal(read_at(0x280), 0);
	assert_int_equal(read_at(0x200), 3 << 16);
}

static void an_illegal_error_vector_does_not_recurse(void **state)
{
	(void)state;
	write_at(0x370, 5); /* the error interrupt itself is illegal */
	write_at(0x300, 7); /* and so is what is sent */
	write_at(0x280, 0);
	assert_int_equal(read_at(0x280), 0x60);
	assert_int_equal(local_apic_pending(apic), NONE);
	assert_int_equal(kicks[0], 0);
}

static void an_illegal_timer_vector_is_an_error(void **state)
{
	(void)state;
	write_at(0x370, 0xe5);
	write_at(0x320, 3);
	write_at(0x380, 1);
	local_apic_timer(&vcpus[0], fake_time + 1000);
	assert_int_equal(local_apic_pending(apic), 0xe5);
	write_at(0x280, 0);
	assert_int_equal(read_at(0x280), 0x40);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_reset_leaves_what_the_manual_says),
		TEST(an_init_undoes_everything),
		TEST(an_init_keeps_id_and_base),
		TEST(registers_lie_where_a_processor_looks_for_them),
		TEST(nothing_is_kept_behind_a_register),
		TEST(identities_are_shown_as_the_mode_has_them),
		TEST(a_processor_is_told_what_has_changed),
		TEST(a_processor_is_told_which_ends_to_report),
		TEST(what_a_processor_ended_reaches_the_io_apic),
		TEST(the_highest_vector_is_delivered_first),
		TEST(a_vector_of_the_same_class_waits),
		TEST(the_task_priority_holds_vectors_back),
		TEST(a_disabled_apic_takes_and_delivers_nothing),
		TEST(an_end_without_an_interrupt_is_harmless),
		TEST(the_end_of_a_level_interrupt_reaches_the_io_apic),
		TEST(the_end_of_an_edge_does_not),
		TEST(odd_accesses_do_no_harm),
		TEST(read_only_registers_stay),
		TEST(reserved_bits_are_not_kept),
		TEST(lvt_entries_are_masked_while_software_is_off),
		TEST(an_error_interrupts_and_is_latched_by_a_write),
		TEST(each_new_error_interrupts_once),
		TEST(vectors_from_16_up_are_legal),
		TEST(an_illegal_error_vector_does_not_recurse),
		TEST(an_illegal_timer_vector_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
