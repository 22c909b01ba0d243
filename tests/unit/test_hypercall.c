/* SPDX-License-Identifier: MIT */
#include "guest_fixture.h"

#include <mullion/guest.h>

#define TEXT 0x20000

static int64_t call(uint64_t number, uint64_t rbx, uint64_t rcx)
{
	const struct vm_exit exit = { .kind = EXIT_HYPERCALL, .length = 3 };
	uint64_t rip = vcpu.rip;

	vcpu.gpr[RAX] = number;
	vcpu.gpr[RBX] = rbx;
	vcpu.gpr[RCX] = rcx;
	exit_handle(&vcpu, &exit);
	assert_int_equal(vcpu.rip, rip + 3);
	return (int64_t)vcpu.gpr[RAX];
}

static void the_version_is_told(void **state)
{
	(void)state;
	assert_int_equal(call(MULL_CALL_VERSION, 0, 0), MULL_GUEST_ABI);
}

static void what_is_not_there_is_said(void **state)
{
	static const uint64_t numbers[] = {
		0,     1,
		5,     11,
		0xfff, MULL_CALL_RESET + 1,
		~0ull, 0x100000000 | MULL_CALL_END,
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(numbers); i++)
		assert_int_equal(call(numbers[i], 0, 0), -1000);
	assert_int_equal(ends, 0);
}

static void only_the_kernel_may_call(void **state)
{
	(void)state;
	put(TEXT, "text", 4);
	for (uint32_t cpl = 1; cpl <= 3; cpl++) {
		fake_virt.system.cpl = cpl;
		for (uint64_t i = MULL_CALL_VERSION; i <= MULL_CALL_RESET; i++)
			assert_int_equal(call(i, TEXT, 4), -1);
	}
	assert_int_equal(ends, 0);
	assert_string_equal(printed(), "");
}

static void a_text_is_printed(void **state)
{
	(void)state;
	put(TEXT, "one\ntwo", 7);
	assert_int_equal(call(MULL_CALL_CONSOLE, TEXT, 7), 7);
	assert_string_equal(printed(), "one\ntwo");
	assert_true(notices > 0);
	assert_int_equal(call(MULL_CALL_CONSOLE, TEXT, 0), 0);
	assert_string_equal(printed(), "");
	assert_false(atomic_flag_test_and_set(&vm.device_lock.held));
}

/* The service CPU is woken for the first byte only: it looks for more. */
static void a_busy_reader_is_not_woken(void **state)
{
	(void)state;
	put(TEXT, "text", 4);
	for (int i = 0; i < 10; i++)
		assert_int_equal(call(MULL_CALL_CONSOLE, TEXT, 4), 4);
	assert_int_equal(notices, 1);
}

static void a_long_text_is_cut(void **state)
{
	static char text[8192];

	(void)state;
	memset(text, 'x', sizeof text);
	put(TEXT, text, sizeof text);
	assert_int_equal(call(MULL_CALL_CONSOLE, TEXT, sizeof text), 4096);
	assert_int_equal(strlen(printed()), 4096);
	for (int i = 0; i < 4; i++)
		assert_int_equal(call(MULL_CALL_CONSOLE, TEXT, ~0ull), 4096);
	assert_int_equal(call(MULL_CALL_CONSOLE, TEXT, 10), 0); /* full */
	printed();
	vm.serial.output.size = 1024;
	assert_int_equal(call(MULL_CALL_CONSOLE, TEXT, 4000), 1024);
}

static void wild_addresses_print_nothing(void **state)
{
	static const uint64_t addresses[] = {
		RAM_BYTES, RAM_BYTES - 3,      GIB(3),		~0ull,
		~0ull - 2, 0x8000000000000000, (uint64_t)-4096,
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(addresses); i++)
		assert_int_equal(call(MULL_CALL_CONSOLE, addresses[i], 4),
				 -ERR_BAD_ADDRESS);
	assert_int_equal(call(MULL_CALL_CONSOLE, RAM_BYTES - 1000, 4096),
			 -ERR_BAD_ADDRESS);
	assert_string_equal(printed(), "");
	assert_int_equal(call(MULL_CALL_CONSOLE, RAM_BYTES - 4, 4), 4);
}

static void a_guest_ends_itself(void **state)
{
	(void)state;
	call(MULL_CALL_END, 0, 0);
	assert_int_equal(end_reason, MULL_END_POWEROFF);
	call(MULL_CALL_END, 0x700000000, 0); /* the code has 32 bits */
	assert_int_equal(end_reason, MULL_END_POWEROFF);
	call(MULL_CALL_END, 7, 0);
	assert_int_equal(end_reason, MULL_END_EXIT_CODE);
	assert_int_equal(end_code, 7);
	assert_string_equal(end_words, "ended itself with code 7");
	call(MULL_CALL_RESET, 0, 0);
	assert_int_equal(end_reason, MULL_END_RESET);
	assert_int_equal(ends, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_version_is_told),
		TEST(what_is_not_there_is_said),
		TEST(only_the_kernel_may_call),
		TEST(a_text_is_printed),
		TEST(a_busy_reader_is_not_woken),
		TEST(a_long_text_is_cut),
		TEST(wild_addresses_print_nothing),
		TEST(a_guest_ends_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
