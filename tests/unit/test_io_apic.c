/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <mullion/bits.h>
#include <mullion/vm.h>
#include <string.h>

#define MASKED 0x10000u
#define LEVEL 0x8000u
#define REMOTE_IRR 0x4000u

static struct vm vm;
static struct apic_message last;
static int sent;
static bool somebody_takes;

bool vm_interrupt(struct vm *to, const struct apic_message *message)
{
	assert_ptr_equal(to, &vm);
	last = *message;
	sent++;
	return somebody_takes;
}

bool local_apic_is_destination(const struct local_apic *apic,
			       const struct apic_message *message)
{
	(void)apic;
	(void)message;
	return false;
}

static void write_register(uint32_t number, uint32_t value)
{
	io_apic_write(&vm, 0x00, 4, number);
	io_apic_write(&vm, 0x10, 4, value);
}

static uint32_t read_register(uint32_t number)
{
	io_apic_write(&vm, 0x00, 4, number);
	return (uint32_t)io_apic_read(&vm, 0x10, 4);
}

static void set_entry(uint32_t pin, uint32_t high, uint32_t low)
{
	write_register(0x11 + 2 * pin, high);
	write_register(0x10 + 2 * pin, low);
}

static uint32_t entry(uint32_t pin)
{
	return read_register(0x10 + 2 * pin);
}

static int fresh(void **state)
{
	(void)state;
	memset(&vm, 0, sizeof vm);
	io_apic_reset(&vm);
	sent = 0;
	somebody_takes = true;
	return 0;
}

static void a_reset_masks_every_pin(void **state)
{
	(void)state;
	assert_int_equal(read_register(1), 0x170020);
	for (uint32_t pin = 0; pin < 24; pin++) {
		assert_int_equal(entry(pin), MASKED);
		io_apic_set_line(&vm, pin, true);
	}
	assert_int_equal(sent, 0);
	write_register(0, ~0u);
	io_apic_reset(&vm);
	assert_int_equal(io_apic_read(&vm, 0, 4), 0);
	assert_int_equal(read_register(0), 0);
	assert_int_equal(vm.io_apic.lines, 0xffffff); /* the devices' own */
}

static void an_edge_fires_on_the_rise_only(void **state)
{
	(void)state;
	set_entry(4, 3u << 24, 0x41);
	io_apic_set_line(&vm, 4, true);
	assert_int_equal(sent, 1);
	assert_int_equal(last.vector, 0x41);
	assert_int_equal(last.destination, 3);
	assert_int_equal(last.delivery, APIC_FIXED);
	assert_false(last.level || last.logical || last.x2apic);
	io_apic_set_line(&vm, 4, true);
	io_apic_set_line(&vm, 4, false);
	assert_int_equal(sent, 1);
	io_apic_set_line(&vm, 4, true);
	assert_int_equal(sent, 2);
	assert_int_equal(entry(4), 0x41);
}

static void a_masked_edge_is_lost(void **state)
{
	(void)state;
	set_entry(4, 0, MASKED | 0x41);
	io_apic_set_line(&vm, 4, true);
	set_entry(4, 0, 0x41);
	assert_int_equal(sent, 0);
}

static void a_level_waits_for_its_end(void **state)
{
	(void)state;
	set_entry(9, 0, LEVEL | 0x51);
	io_apic_set_line(&vm, 9, true);
	assert_int_equal(sent, 1);
	assert_true(last.level);
	assert_int_equal(entry(9), LEVEL | REMOTE_IRR | 0x51);
	io_apic_set_line(&vm, 9, false);
	io_apic_set_line(&vm, 9, true);
	assert_int_equal(sent, 1);
	io_apic_set_line(&vm, 9, false);
	io_apic_end_of_interrupt(&vm, 0x51);
	assert_int_equal(sent, 1);
	assert_int_equal(entry(9), LEVEL | 0x51);
	io_apic_set_line(&vm, 9, true);
	assert_int_equal(sent, 2);
}

static void a_level_still_active_fires_once_per_end(void **state)
{
	(void)state;
	set_entry(9, 0, LEVEL | 0x51);
	io_apic_set_line(&vm, 9, true);
	for (int ends = 1; ends < 10; ends++) {
		io_apic_end_of_interrupt(&vm, 0x51);
		assert_int_equal(sent, 1 + ends);
	}
	io_apic_write(&vm, 0x40, 4, 0x51); /* the EOI register does the same */
	assert_int_equal(sent, 11);
}

static void an_end_is_for_its_vector(void **state)
{
	(void)state;
	set_entry(9, 0, LEVEL | 0x51);
	io_apic_set_line(&vm, 9, true);
	io_apic_end_of_interrupt(&vm, 0x52);
	assert_true(entry(9) & REMOTE_IRR);
	/* Two pins that share a vector end together. */
	set_entry(10, 0, LEVEL | 0x51);
	io_apic_set_line(&vm, 10, true);
	assert_int_equal(sent, 2);
	io_apic_set_line(&vm, 9, false);
	io_apic_end_of_interrupt(&vm, 0x51);
	assert_int_equal(sent, 3);
	assert_false(entry(9) & REMOTE_IRR);
}

static void an_active_level_fires_when_it_is_unmasked(void **state)
{
	(void)state;
	set_entry(9, 0, MASKED | LEVEL | 0x51);
	io_apic_set_line(&vm, 9, true);
	assert_int_equal(sent, 0);
	set_entry(9, 0, LEVEL | 0x51);
	assert_int_equal(sent, 1);
	set_entry(9, 0, MASKED | LEVEL | 0x51);
	io_apic_end_of_interrupt(&vm, 0x51);
	assert_int_equal(sent, 1);
}

static void a_level_that_nobody_took_is_not_waited_for(void **state)
{
	(void)state;
	somebody_takes = false;
	set_entry(9, 7u << 24, LEVEL | 0x51);
	io_apic_set_line(&vm, 9, true);
	assert_int_equal(entry(9), LEVEL | 0x51);
	io_apic_end_of_interrupt(&vm, 0x51); /* another source's */
	assert_int_equal(sent, 1);
	somebody_takes = true;
	set_entry(9, 0, LEVEL | 0x51);
	assert_true(entry(9) & REMOTE_IRR);
}

static void made_an_edge_a_pin_forgets_its_remote_irr(void **state)
{
	(void)state;
	set_entry(9, 0, LEVEL | 0x51);
	io_apic_set_line(&vm, 9, true);
	set_entry(9, 0, MASKED | 0x51);
	assert_int_equal(entry(9), MASKED | 0x51);
	assert_int_equal(sent, 1);
}

static void the_guest_cannot_write_status_bits(void **state)
{
	(void)state;
	set_entry(9, ~0u, ~0u);
	assert_int_equal(entry(9), 0x1afff);
	assert_int_equal(read_register(0x11 + 2 * 9), 0xff000000);
	set_entry(9, 0, LEVEL | 0x51);
	io_apic_set_line(&vm, 9, true);
	write_register(0x10 + 2 * 9, LEVEL | 0x51);
	assert_true(entry(9) & REMOTE_IRR); /* nor clear them */
	assert_int_equal(sent, 1);
}

static void delivery_and_destination_modes_go_along(void **state)
{
	(void)state;
	set_entry(1, 0xa5u << 24, 0x800 | APIC_LOWEST << 8 | 0x61);
	io_apic_set_line(&vm, 1, true);
	assert_true(last.logical);
	assert_int_equal(last.delivery, APIC_LOWEST);
	assert_int_equal(last.destination, 0xa5);
	/* An NMI is an edge, and has no end to wait for. */
	set_entry(2, 0, LEVEL | APIC_NMI << 8);
	io_apic_set_line(&vm, 2, true);
	assert_int_equal(last.delivery, APIC_NMI);
	assert_false(last.level);
	assert_false(entry(2) & REMOTE_IRR);
	io_apic_set_line(&vm, 2, true);
	assert_int_equal(sent, 2);
}

static void what_is_not_there_is_harmless(void **state)
{
	(void)state;
	io_apic_set_line(&vm, 24, true);
	io_apic_set_line(&vm, ~0u, true);
	assert_int_equal(vm.io_apic.lines, 0);
	set_entry(0, 0, 0x41);
	for (uint32_t number = 0x40; number < 0x100; number++) {
		write_register(number, ~0u);
		assert_int_equal(read_register(number), 0);
	}
	write_register(1, 0);
	assert_int_equal(read_register(1), 0x170020);
	write_register(0, ~0u);
	assert_int_equal(read_register(0), 0x0f000000);
	assert_int_equal(read_register(2), 0x0f000000);
	io_apic_write(&vm, 0, 4, 0x110); /* 8 bits of it count */
	assert_int_equal(io_apic_read(&vm, 0, 4), 0x10);
	for (uint32_t offset = 0; offset < 0x1000; offset++)
		for (uint32_t size = 0; size <= 8; size++) {
			if (size == 4 && offset % 16 == 0)
				continue;
			io_apic_write(&vm, offset, size, ~0ull);
			assert_int_equal(io_apic_read(&vm, offset, size), 0);
		}
	assert_int_equal(entry(0), 0x41);
	assert_int_equal(sent, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup(name, fresh)
		TEST(a_reset_masks_every_pin),
		TEST(an_edge_fires_on_the_rise_only),
		TEST(a_masked_edge_is_lost),
		TEST(a_level_waits_for_its_end),
		TEST(a_level_still_active_fires_once_per_end),
		TEST(an_end_is_for_its_vector),
		TEST(an_active_level_fires_when_it_is_unmasked),
		TEST(a_level_that_nobody_took_is_not_waited_for),
		TEST(made_an_edge_a_pin_forgets_its_remote_irr),
		TEST(the_guest_cannot_write_status_bits),
		TEST(delivery_and_destination_modes_go_along),
		TEST(what_is_not_there_is_harmless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
