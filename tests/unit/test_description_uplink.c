/* SPDX-License-Identifier: MIT */
/* A machine's uplink, whatever bytes a package gives for it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernel/partition/description_parts.h"

#include <mullion/bits.h>
#include <stdio.h>
#include <string.h>

static char story[512];

static void on_complaint(void *context, int index, enum mull_field field,
			 const char *words)
{
	size_t length = strlen(story);

	(void)context;
	assert_int_equal(index, MULL_MACHINE_ITSELF);
	assert_int_equal(field, MULL_FIELD_UPLINK);
	snprintf(story + length, sizeof story - length, "%s\n", words);
}

/* Of @nic, and a switch of these bytes; all of MULL_LABEL_MAX when @end is 0. */
static void check_one(uint32_t nic, const char *name, char end)
{
	struct mull_machine machine = { .cpu_count = 1, .uplink_nic = nic };
	struct check check = { .machine = &machine, .complain = on_complaint };

	story[0] = 0;
	if (end)
		memset(machine.uplink, end, sizeof machine.uplink);
	else
		strcpy(machine.uplink, name);
	check_uplink(&check);
	assert_int_equal(check.mistakes != 0, story[0] != 0);
}

static void good_ones_are_let_pass(void **state)
{
	(void)state;
	check_one(0, "", 0);
	assert_string_equal(story, "");
	check_one(1, "lan", 0);
	assert_string_equal(story, "");
	check_one(MULL_MACHINE_NIC_MAX, "a-15-letters-na", 0);
	assert_string_equal(story, "");
}

static void a_nic_is_in_its_range(void **state)
{
	static const uint32_t wrong[] = { MULL_MACHINE_NIC_MAX + 1, 0x80000000,
					  UINT32_MAX };
	char words[80];

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
		check_one(wrong[i], "lan", 0);
		snprintf(words, sizeof words,
			 "the uplink's nic %u is not 1 to %u\n", wrong[i],
			 MULL_MACHINE_NIC_MAX);
		assert_string_equal(story, words);
	}
}

static void a_name_needs_a_nic(void **state)
{
	(void)state;
	check_one(0, "lan", 0);
	assert_string_equal(story, "the uplink has no nic\n");
	check_one(0, "", 'x');
	assert_string_equal(story, "the uplink has no nic\n");
}

static void a_nic_needs_a_name(void **state)
{
	static const char *const wrong[] = { "", "Lan", "l n", "lan/", "\x80" };
	const char *words = "the name of the uplink's switch is not 1 to 15 of "
			    "a-z, 0-9 and -\n";

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
		check_one(2, wrong[i], 0);
		assert_string_equal(story, words);
	}
	check_one(2, "", 'x'); /* without an end */
	assert_string_equal(story, words);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_ones_are_let_pass),
		cmocka_unit_test(a_nic_is_in_its_range),
		cmocka_unit_test(a_name_needs_a_nic),
		cmocka_unit_test(a_nic_needs_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
