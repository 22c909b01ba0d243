/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <mullion/vm.h>
#include <stdio.h>
#include <string.h>

static struct vm vm;
static bool line;
static int edges, ends;
static char words[100];
static enum mull_end_reason reason;

void io_apic_set_line(struct vm *of, uint32_t pin, bool high)
{
	assert_ptr_equal(of, &vm);
	assert_int_equal(pin, MULL_GUEST_EVENT_GSI);
	edges += high && !line;
	line = high;
}

void vm_end(struct vm *of, enum mull_end_reason why, uint32_t code,
	    const char *format, ...)
{
	va_list arguments;

	assert_ptr_equal(of, &vm);
	assert_int_equal(code, 0);
	va_start(arguments, format);
	vsnprintf(words, sizeof words, format, arguments);
	va_end(arguments);
	reason = why;
	ends++;
}

static int fresh(void **state)
{
	(void)state;
	memset(&vm, 0, sizeof vm);
	platform_reset(&vm);
	line = false;
	edges = ends = 0;
	return 0;
}

static void only_s5_with_enable_powers_off(void **state)
{
	(void)state;
	for (int value = 0; value < 256; value++) {
		platform_write(&vm, 0x600, (uint8_t)value);
		assert_int_equal(ends, (value & 0x3c) == 0x34);
		assert_int_equal(platform_read(&vm, 0x600), value & 0x1c);
		ends = 0;
	}
	platform_write(&vm, 0x600, 0x34);
	assert_int_equal(reason, MULL_END_POWEROFF);
	assert_string_equal(words, "powered off");
	assert_int_equal(platform_read(&vm, 0x601), 0);
	platform_write(&vm, 0x601, 0x80);
	assert_int_equal(ends, 1);
}

static void the_reset_register_resets(void **state)
{
	(void)state;
	for (int value = 0; value < 256; value++)
		platform_write(&vm, 0x602, (uint8_t)value);
	assert_int_equal(ends, 1);
	assert_int_equal(reason, MULL_END_RESET);
	assert_string_equal(words, "the guest asked for a reset");
}

static void a_pc_is_reset_in_two_more_ways(void **state)
{
	(void)state;
	platform_write(&vm, 0xcf9, 0x02); /* first the kind of reset ... */
	assert_int_equal(ends, 0);
	platform_write(&vm, 0xcf9, 0x06); /* ... then the reset */
	assert_int_equal(ends, 1);
	assert_int_equal(reason, MULL_END_RESET);
	assert_non_null(strstr(words, "0xcf9"));
	platform_write(&vm, 0x64, 0xaa);
	assert_int_equal(ends, 1);
	reason = MULL_END_NONE;
	platform_write(&vm, 0x64, 0xfe);
	assert_int_equal(ends, 2);
	assert_int_equal(reason, MULL_END_RESET);
	assert_non_null(strstr(words, "keyboard controller"));
	assert_int_equal(platform_read(&vm, 0x64), 0xff); /* it is not there */
}

static void the_button_is_an_event_that_a_read_takes(void **state)
{
	(void)state;
	assert_int_equal(platform_read(&vm, 0x603), 0);
	platform_press_button(&vm);
	assert_int_equal(edges, 1);
	assert_int_equal(platform_read(&vm, 0x603), MULL_GUEST_EVENT_BUTTON);
	assert_false(line);
	assert_int_equal(platform_read(&vm, 0x603), 0);
	platform_write(&vm, 0x603, 0xff);
	assert_int_equal(platform_read(&vm, 0x603), 0);
}

static void each_press_is_an_edge(void **state)
{
	(void)state;
	platform_press_button(&vm);
	platform_press_button(&vm); /* nobody has read the first */
	assert_int_equal(edges, 2);
	platform_reset(&vm);
	assert_false(line);
	assert_int_equal(platform_read(&vm, 0x603), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup(name, fresh)
		TEST(only_s5_with_enable_powers_off),
		TEST(the_reset_register_resets),
		TEST(a_pc_is_reset_in_two_more_ways),
		TEST(the_button_is_an_event_that_a_read_takes),
		TEST(each_press_is_an_edge),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
