/* SPDX-License-Identifier: MIT */
/* How long `mullctl balloon` waits, and what it says then. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "caught_output.h"

#include <mullion/bits.h>
#include <remote.h>
#include <work.h>

static struct mull_balloon balloon;
static double now, freed_at;
static enum status status;

/* ---- a hypervisor, and time -------------------------------------------------- */

double seconds_now(void)
{
	return now;
}

void work_begin(void)
{
}

void work_end(void)
{
}

int mull_pump(struct mull *mull, int milliseconds, int fd)
{
	(void)mull;
	(void)fd;
	now += milliseconds / 1000.0;
	if (now < freed_at)
		return MULL_OK;
	balloon.flags &= ~(uint32_t)MULL_BALLOON_WAITS;
	balloon.now = balloon.target;
	return MULL_OK;
}

int mull_balloon(struct mull *mull, uint32_t vm, uint64_t bytes,
		 struct mull_balloon *it)
{
	(void)mull;
	assert_int_equal(vm, 3);
	if (bytes != MULL_BALLOON_LOOK)
		balloon.target = bytes;
	*it = balloon;
	return MULL_OK;
}

void mull_close(struct mull *mull)
{
	(void)mull;
}

struct mull *remote_open_vm(const struct options *options,
			    const struct mull_handlers *handlers,
			    struct mull_vm_status *vm, enum status *result)
{
	(void)options;
	(void)handlers;
	*vm = (struct mull_vm_status){ .name = "web", .number = 3 };
	*result = STATUS_OK;
	return (struct mull *)&balloon;
}

enum status remote_status(struct mull *mull, int error)
{
	(void)mull;
	assert_int_equal(error, MULL_OK);
	return STATUS_OK;
}

enum status remote_show(const struct options *options, show_it *show)
{
	(void)options;
	(void)show;
	return STATUS_OK;
}

bool remote_timeout(const struct options *options, double otherwise,
		    double *seconds)
{
	(void)options;
	*seconds = otherwise;
	return true;
}

/* ---- tests -------------------------------------------------------------------- */

static void run(const char *form)
{
	const struct options options = { .second = "512MiB",
					 .text = { [OPTION_FORM] = form } };
	struct caught caught = catch_begin();

	status = (enum status)verb_balloon(&options);
	catch_end(&caught);
}

static int fresh(void **state)
{
	(void)state;
	now = 0;
	freed_at = 1e9;
	balloon = (struct mull_balloon){ .size = MIB(512),
					 .least = MIB(64),
					 .target = MIB(256),
					 .now = MIB(256),
					 .lent = MIB(256),
					 .flags = MULL_BALLOON_DRIVEN };
	return 0;
}

static void no_memory_is_told_soon(void **state)
{
	(void)state;
	balloon.flags |= MULL_BALLOON_WAITS;
	run("json");
	assert_int_equal(status, STATUS_CONFLICT);
	assert_true(now > 3 && now < 5);
	assert_non_null(strstr(said, "web has 256 MiB after 3 s, not 512 MiB: "
				     "no memory is free"));
	assert_non_null(strstr(shown, "\"memory\": 268435456"));
	assert_non_null(strstr(shown, "\"waits_for_memory\": true"));
	run(NULL);
	assert_non_null(strstr(shown, "Waits for memory:  yes"));
}

static void what_becomes_free_is_waited_for(void **state)
{
	(void)state;
	balloon.flags |= MULL_BALLOON_WAITS;
	freed_at = 2;
	run("json");
	assert_int_equal(status, STATUS_OK);
	assert_string_equal(said, "");
	assert_non_null(strstr(shown, "\"waits_for_memory\": false"));
}

static void a_guest_has_its_time(void **state)
{
	(void)state;
	run(NULL);
	assert_int_equal(status, STATUS_TIMED_OUT);
	assert_true(now > 59 && now < 62);
	assert_non_null(strstr(said, "after 60 s, not 512 MiB\n"));
	fresh(state);
	balloon.flags = 0;
	run(NULL);
	assert_non_null(strstr(said, "no driver"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(no_memory_is_told_soon, fresh),
		cmocka_unit_test_setup(what_becomes_free_is_waited_for, fresh),
		cmocka_unit_test_setup(a_guest_has_its_time, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
