/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arch/fake/fake.h>
#include <cmocka.h>
#include <mullion/pci.h>
#include <string.h>

#define NOTHING 0xffffffff

/* Functions of the machine, by their place in configuration addresses. */
static struct function {
	uint32_t place; /* bus << 16 | device << 11 | function << 8 */
	uint32_t command, header;
} functions[8];
static size_t function_count;
static uint32_t address, commands_written;

static struct function *chosen(void)
{
	assert_true(address & BIT(31));
	assert_int_equal(address & 0x7f000003, 0);
	for (size_t i = 0; i < function_count; i++)
		if (functions[i].place == (address & 0xffff00))
			return &functions[i];
	return NULL;
}

static uint32_t in32(uint16_t port)
{
	const struct function *function = chosen();

	assert_int_equal(port, 0xcfc);
	if (!function)
		return NOTHING;
	switch (address & 0xfc) {
	case 0x00:
		return 0x12345678;
	case 0x04:
		return function->command;
	case 0x0c:
		return function->header;
	default:
		return 0xa0 + (address & 0xfc);
	}
}

static void out32(uint16_t port, uint32_t value)
{
	if (port == 0xcf8) {
		address = value;
		return;
	}
	assert_int_equal(port, 0xcfc);
	assert_int_equal(address & 0xfc, 0x04);
	assert_non_null(chosen());
	chosen()->command = value;
	commands_written++;
}

static int fresh(void **state)
{
	(void)state;
	function_count = commands_written = 0;
	fake_port_in32 = in32;
	fake_port_out32 = out32;
	return 0;
}

static void add(uint32_t bus, uint32_t device, uint32_t function,
		uint32_t command, uint32_t header)
{
	functions[function_count++] = (struct function){
		bus << 16 | device << 11 | function << 8, command, header
	};
}

static void registers_are_reached(void **state)
{
	(void)state;
	add(1, 2, 3, 0x07, 0);
	assert_int_equal(pci_read(1, 2, 3, 0x00), 0x12345678);
	assert_int_equal(pci_read(1, 2, 3, 0x11), 0xb0); /* as a whole */
	assert_int_equal(pci_read(1, 2, 4, 0x00), NOTHING);
	pci_write(1, 2, 3, 0x04, 0x406);
	assert_int_equal(functions[0].command, 0x406);
}

/* What does not fit must not reach another device. */
static void numbers_are_cut_to_their_fields(void **state)
{
	(void)state;
	pci_read(255, 255, 255, 255);
	assert_int_equal(address, 0x80fffffc);
	pci_read(0, 32, 8, 0);
	assert_int_equal(address, 0x80000000);
}

static void bus_mastering_is_taken_away_everywhere(void **state)
{
	(void)state;
	add(0, 0, 0, 0x0007, 0x00000000);
	add(0, 31, 0, 0xffff0147, 0x00800000); /* with more functions */
	add(0, 31, 7, 0x00100005, 0x00800000);
	add(255, 31, 0, 0x0006, 0);
	add(3, 0, 0, 0x0003, 0); /* it has none */
	assert_int_equal(pci_quiesce(), 4);
	assert_int_equal(functions[0].command, 0x0003);
	/* The status above is cleared by ones: it is written as zeros. */
	assert_int_equal(functions[1].command, 0x0143);
	assert_int_equal(functions[2].command, 0x0001);
	assert_int_equal(functions[3].command, 0x0002);
	assert_int_equal(functions[4].command, 0x0003);
	assert_int_equal(commands_written, 4);
	assert_int_equal(pci_quiesce(), 0);
}

/* Some devices answer at every function with what function 0 has. */
static void one_function_is_looked_at_once(void **state)
{
	(void)state;
	add(0, 4, 0, 0x0004, 0);
	add(0, 4, 1, 0x0004, 0);
	assert_int_equal(pci_quiesce(), 1);
	assert_int_equal(functions[1].command, 0x0004);
}

static void without_pci_nothing_is_written(void **state)
{
	(void)state;
	assert_int_equal(pci_quiesce(), 0);
	assert_int_equal(commands_written, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup(name, fresh)
		TEST(registers_are_reached),
		TEST(numbers_are_cut_to_their_fields),
		TEST(bus_mastering_is_taken_away_everywhere),
		TEST(one_function_is_looked_at_once),
		TEST(without_pci_nothing_is_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
