/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <mullion/log.h>
#include <mullion/vm.h>
#include <stdio.h>
#include <stdlib.h>
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

uint32_t vm_home(const struct vm *of)
{
	assert_ptr_equal(of, &vm);
	return 0;
}

bool vm_interrupt(struct vm *of, const struct apic_message *message)
{
	(void)of;
	(void)message;
	fail_msg("there is no MSI-X");
	return false;
}

_Noreturn void panic(const char *format, ...)
{
	fail_msg("panic: %s", format);
	abort();
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

/* The registers of the DSDT's methods: each slot is told once. */
static void devices_come_and_go(void **state)
{
	static const struct pci_operations nothing;
	static struct pci_function one, other;
	const uint64_t config = MULL_GUEST_ECAM + (3 << 15),
		       bar = MULL_GUEST_PCI_MEMORY +
			     3 * (MULL_GUEST_PCI_MEMORY_SIZE / PCI_SLOTS) + 20;

	(void)state;
	one = (struct pci_function){ .operations = &nothing,
				     .slot = 3,
				     .bar_size = 0x8000 };
	other = (struct pci_function){ .operations = &nothing, .slot = 2 };
	pci_function_init(&one, 1, 2, 3);
	pci_function_init(&other, 1, 2, 3);
	assert_int_equal(platform_read(&vm, MULL_GUEST_PCI_COMES), 0xff);
	guest_pci_plug(&vm, &one);
	guest_pci_plug(&vm, &other);
	assert_int_equal(edges, 2);
	assert_int_equal(platform_read(&vm, 0x603), MULL_GUEST_EVENT_PCI);
	assert_int_equal(platform_read(&vm, MULL_GUEST_PCI_COMES), 2);
	assert_int_equal(platform_read(&vm, MULL_GUEST_PCI_COMES), 3);
	assert_int_equal(platform_read(&vm, MULL_GUEST_PCI_COMES), 0xff);
	assert_int_equal(platform_read(&vm, MULL_GUEST_PCI_GOES), 0xff);
	/* The guest lets go of what it was asked for, and of nothing else. */
	platform_write(&vm, MULL_GUEST_PCI_EJECT, 3);
	platform_write(&vm, MULL_GUEST_PCI_EJECT, 0xff);
	assert_false(guest_pci_is_empty(&vm.pci, 3));
	guest_pci_unplug(&vm, 3);
	assert_int_equal(edges, 3);
	assert_int_equal(platform_read(&vm, MULL_GUEST_PCI_GOES), 3);
	assert_int_equal(platform_read(&vm, MULL_GUEST_PCI_GOES), 0xff);
	assert_false(guest_pci_is_empty(&vm.pci, 3));
	platform_write(&vm, MULL_GUEST_PCI_EJECT, 3);
	assert_true(guest_pci_is_empty(&vm.pci, 3));
	/* What is pulled out is gone at once, and the guest hears of it. */
	guest_pci_plug(&vm, &one);
	guest_pci_unplug(&vm, 3);
	guest_pci_pull(&vm, 3);
	assert_true(guest_pci_is_empty(&vm.pci, 3));
	assert_int_equal(platform_read(&vm, MULL_GUEST_PCI_COMES), 0xff);
	assert_int_equal(platform_read(&vm, MULL_GUEST_PCI_GOES), 3);
	assert_int_equal(guest_pci_read(&vm, gpa(bar), 4), 0);
	assert_int_equal(guest_pci_read(&vm, gpa(config), 4), UINT32_MAX);
	/* That it then lets go is not meant for what came next. */
	guest_pci_plug(&vm, &one);
	platform_write(&vm, MULL_GUEST_PCI_EJECT, 3);
	assert_false(guest_pci_is_empty(&vm.pci, 3));
	assert_int_equal(guest_pci_read(&vm, gpa(bar), 4), UINT32_MAX);
	guest_pci_pull(&vm, 3);
	assert_int_equal(platform_read(&vm, MULL_GUEST_PCI_GOES), 3);
	assert_int_equal(guest_pci_read(&vm, gpa(bar), 4), 0);
	guest_pci_reset(&vm);
	assert_int_equal(guest_pci_read(&vm, gpa(bar), 4), UINT32_MAX);
	/* The next guest does not see what was to go. */
	guest_pci_unplug(&vm, 2);
	guest_pci_reset(&vm);
	assert_true(guest_pci_is_empty(&vm.pci, 2));
	assert_int_equal(platform_read(&vm, MULL_GUEST_PCI_GOES), 0xff);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup(name, fresh)
		TEST(only_s5_with_enable_powers_off),
		TEST(devices_come_and_go),
		TEST(the_reset_register_resets),
		TEST(a_pc_is_reset_in_two_more_ways),
		TEST(the_button_is_an_event_that_a_read_takes),
		TEST(each_press_is_an_edge),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
