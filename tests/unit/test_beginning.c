/* SPDX-License-Identifier: MIT */
/* What mullctl start --wait makes of the events that come meanwhile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <beginning.h>
#include <cmocka.h>
#include <string.h>

#define VM 3
#define SINCE 5000

static struct beginning beginning;

static int begin(void **state)
{
	(void)state;
	beginning = (struct beginning){ .vm = VM, .since_ns = SINCE };
	return 0;
}

static void hear(uint32_t vm, uint64_t time_ns, uint32_t state,
		 const char *words)
{
	struct mull_event event = { .state = state, .time_ns = time_ns };

	memcpy(event.words, words, strlen(words));
	beginning_hear(&beginning, vm, &event);
}

/* It waited for the last lines of the log, while the VM was started again. */
static void test_end_of_the_run_before(void **state)
{
	(void)state;
	hear(VM, SINCE - 1, MULL_VM_STOPPED, "stopped by command");
	assert_false(beginning.ended);
	assert_string_equal(beginning.words, "");
	hear(VM, SINCE + 1, MULL_VM_RUNNING, "");
	assert_true(beginning.runs);
	assert_false(beginning.ended);
}

static void test_run_before(void **state)
{
	(void)state;
	hear(VM, SINCE - 2, MULL_VM_RUNNING, "");
	assert_false(beginning.runs);
}

static void test_short_run(void **state)
{
	(void)state;
	hear(VM, SINCE, MULL_VM_RUNNING, "");
	hear(VM, SINCE + 1, MULL_VM_STOPPED, "exit code 0");
	assert_true(beginning.runs && beginning.ended);
	assert_string_equal(beginning.words, "exit code 0");
}

static void test_refused(void **state)
{
	(void)state;
	hear(VM, SINCE, MULL_VM_REFUSED, "no memory");
	assert_true(beginning.ended && !beginning.runs);
	assert_string_equal(beginning.words, "no memory");
}

static void test_other_vm(void **state)
{
	(void)state;
	hear(VM + 1, SINCE + 1, MULL_VM_RUNNING, "");
	hear(VM + 1, SINCE + 2, MULL_VM_CRASHED, "triple fault");
	assert_false(beginning.runs || beginning.ended);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_end_of_the_run_before, begin),
		cmocka_unit_test_setup(test_run_before, begin),
		cmocka_unit_test_setup(test_short_run, begin),
		cmocka_unit_test_setup(test_refused, begin),
		cmocka_unit_test_setup(test_other_vm, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
