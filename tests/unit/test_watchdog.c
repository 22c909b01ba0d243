/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arch/fake/fake.h>
#include <cmocka.h>
#include <mullion/vm.h>
#include <stdio.h>
#include <string.h>

#define COMMAND MULL_GUEST_WATCHDOG_COMMAND
#define SECONDS MULL_GUEST_WATCHDOG_SECONDS
#define STATUS MULL_GUEST_WATCHDOG_STATUS

static struct vm vm;
static uint32_t ends;
static char words[100];

void vm_end(struct vm *of, enum mull_end_reason why, uint32_t code,
	    const char *format, ...)
{
	va_list arguments;

	assert_ptr_equal(of, &vm);
	assert_int_equal(why, MULL_END_WATCHDOG);
	assert_int_equal(code, vm.watchdog.seconds);
	va_start(arguments, format);
	vsnprintf(words, sizeof words, format, arguments);
	va_end(arguments);
	ends++;
}

uint32_t vm_home(const struct vm *of)
{
	(void)of;
	return 1;
}

static int fresh(void **state)
{
	(void)state;
	memset(&vm, 0, sizeof vm);
	memset(fake_kicks, 0, sizeof fake_kicks);
	fake_cpu_count = 2;
	fake_time = 1000;
	ends = 0;
	vm.description.watchdog = 30;
	watchdog_reset(&vm);
	return 0;
}

static void pass(double seconds)
{
	fake_time += (uint64_t)(seconds * 1000 * (double)arch_time_khz());
	watchdog_look(&vm);
}

static void it_does_not_run_before_it_is_started(void **state)
{
	(void)state;
	assert_true(watchdog_deadline(&vm) == ARCH_NO_DEADLINE);
	assert_int_equal(watchdog_read(&vm, COMMAND), 0);
	watchdog_write(&vm, COMMAND, MULL_GUEST_WATCHDOG_FEED);
	watchdog_write(&vm, SECONDS, 1);
	watchdog_write(&vm, COMMAND, 0xff);
	watchdog_resume(&vm);
	pass(100000);
	assert_int_equal(ends, 0);
	assert_int_equal(fake_kicks[1], 0);
}

static void it_ends_a_vm_that_does_not_feed_it(void **state)
{
	(void)state;
	watchdog_write(&vm, COMMAND, MULL_GUEST_WATCHDOG_RUN);
	assert_int_equal(fake_kicks[1], 1); /* who is to look */
	assert_int_equal(watchdog_read(&vm, COMMAND), 1);
	for (int i = 0; i < 5; i++) {
		pass(29.9);
		assert_int_equal(ends, 0);
		watchdog_write(&vm, COMMAND, MULL_GUEST_WATCHDOG_FEED);
	}
	pass(29.9);
	assert_int_equal(watchdog_read(&vm, SECONDS), 0);
	pass(0.2);
	assert_int_equal(ends, 1);
	assert_string_equal(words, "watchdog: not fed for 30 s");
	pass(100);
	assert_int_equal(ends, 1);
}

static void the_next_guest_is_told_and_forgets_it(void **state)
{
	(void)state;
	watchdog_write(&vm, COMMAND, MULL_GUEST_WATCHDOG_RUN);
	pass(31);
	assert_int_equal(ends, 1);
	watchdog_reset(&vm);
	assert_int_equal(watchdog_read(&vm, STATUS), 1);
	watchdog_write(&vm, STATUS, 1);
	assert_int_equal(watchdog_read(&vm, STATUS), 0);
	pass(1000);
	assert_int_equal(ends, 1);
}

static void it_can_be_stopped(void **state)
{
	(void)state;
	watchdog_write(&vm, COMMAND, MULL_GUEST_WATCHDOG_RUN);
	watchdog_write(&vm, COMMAND, MULL_GUEST_WATCHDOG_STOP);
	pass(1000);
	assert_int_equal(ends, 0);
}

static void its_time_is_the_guests_up_to_the_manifests(void **state)
{
	(void)state;
	watchdog_write(&vm, SECONDS, 5);
	watchdog_write(&vm, COMMAND, MULL_GUEST_WATCHDOG_RUN);
	assert_int_equal(watchdog_read(&vm, SECONDS), 5);
	pass(3.5);
	assert_int_equal(watchdog_read(&vm, SECONDS), 1);
	watchdog_write(&vm, SECONDS, 255); /* while it runs */
	assert_int_equal(fake_kicks[1], 2);
	assert_int_equal(watchdog_read(&vm, SECONDS), 30);
	watchdog_write(&vm, SECONDS, 0);
	pass(1.1);
	assert_string_equal(words, "watchdog: not fed for 1 s");
}

static void it_stands_still_with_its_vm(void **state)
{
	(void)state;
	watchdog_write(&vm, COMMAND, MULL_GUEST_WATCHDOG_RUN);
	fake_time += 1000000 * arch_time_khz(); /* paused: nobody looks */
	watchdog_resume(&vm);
	pass(29);
	assert_int_equal(ends, 0);
	pass(2);
	assert_int_equal(ends, 1);
}

static void a_vm_without_one_has_no_ports(void **state)
{
	(void)state;
	vm.description.watchdog = 0;
	watchdog_reset(&vm);
	watchdog_write(&vm, COMMAND, MULL_GUEST_WATCHDOG_RUN);
	for (uint16_t port = COMMAND; port <= STATUS; port++)
		assert_int_equal(watchdog_read(&vm, port), 0xff);
	pass(1000);
	assert_int_equal(ends, 0);
}

#define TEST(name) cmocka_unit_test_setup(name, fresh)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(it_does_not_run_before_it_is_started),
		TEST(it_ends_a_vm_that_does_not_feed_it),
		TEST(the_next_guest_is_told_and_forgets_it),
		TEST(it_can_be_stopped),
		TEST(its_time_is_the_guests_up_to_the_manifests),
		TEST(it_stands_still_with_its_vm),
		TEST(a_vm_without_one_has_no_ports),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
