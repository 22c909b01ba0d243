/* SPDX-License-Identifier: MIT */
/* Schedules and VMs' parts in them, whatever bytes a package gives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <mullion/bits.h>
#include <mullion/description.h>
#include <stdio.h>
#include <string.h>

static char story[2048];
static struct mull_machine machine;
static struct mull_vm vms[3];

static void on_complaint(void *context, int vm, enum mull_field field,
			 const char *words)
{
	size_t length = strlen(story);

	(void)context;
	assert_true(field == MULL_FIELD_SCHEDULES || field == MULL_FIELD_CPUS);
	snprintf(story + length, sizeof story - length, "%d: %s\n", vm, words);
}

static void check_machine(void)
{
	static const struct mull_limits limits = { .cpu_count = 4 };

	story[0] = 0;
	mull_check_machine(&machine, &limits, on_complaint, NULL);
}

static void check_vms(void)
{
	static const struct mull_limits limits = { .cpu_count = 4 };
	uint32_t kind = MULL_IMAGE_ELF64;
	bool bad[ARRAY_COUNT(vms)] = { false };

	story[0] = 0;
	mull_check_vms(&machine, vms, ARRAY_COUNT(vms), &kind, 1, &limits, bad,
		       on_complaint, NULL);
}

static int begin(void **state)
{
	(void)state;
	machine = (struct mull_machine){
		.cpu_count = 4,
		.schedules = { { .name = "normal",
				 .slot_count = 2,
				 .slots_us = { 4000, 6000 } },
			       { .name = "other",
				 .slot_count = 1,
				 .slots_us = { 100 } } },
	};
	for (uint32_t i = 0; i < ARRAY_COUNT(vms); i++) {
		vms[i] = (struct mull_vm){ .memory_size = MIB(2),
					   .vcpu_count = 1,
					   .initrd = MULL_NO_IMAGE,
					   .on_poweroff = MULL_END_STOP,
					   .on_reset = MULL_END_STOP,
					   .on_crash = MULL_END_STOP,
					   .console_size = KIB(64) };
		snprintf(vms[i].name, sizeof vms[i].name, "vm%u", i);
		vms[i].cpus[0] = 1;
	}
	vms[0].slots[0] = 1;
	vms[1].slots[0] = 2;
	vms[2].slots[0] = MULL_SLOT_BACKGROUND;
	vms[2].slots[1] = 1;
	return 0;
}

static void good_ones_are_let_pass(void **state)
{
	(void)state;
	check_machine();
	assert_string_equal(story, "");
	check_vms();
	assert_string_equal(story, "");
	/* On other CPUs, a slot may be had twice. */
	vms[1].slots[0] = 1;
	vms[1].cpus[0] = 2;
	vms[2].slots[0] |= 2;
	check_vms();
	assert_string_equal(story, "");
	for (uint32_t i = 0; i < MULL_SLOT_MAX; i++)
		machine.schedules[1].slots_us[i] = MULL_FRAME_US_MAX /
						   MULL_SLOT_MAX;
	machine.schedules[1].slot_count = MULL_SLOT_MAX;
	vms[2].slots[1] = 0xffff | MULL_SLOT_BACKGROUND;
	check_machine();
	check_vms();
	assert_string_equal(story, "");
}

static void expect_machine(const char *words)
{
	check_machine();
	if (!strstr(story, words))
		print_error("not \"%s\", but: %s", words, story);
	assert_non_null(strstr(story, words));
	begin(NULL);
}

static void wrong_schedules_are_refused(void **state)
{
	struct mull_schedule *first = &machine.schedules[0];

	(void)state;
	strcpy(first->name, "No");
	expect_machine("the name of schedule 1 is not 1 to 15 of a-z");
	memset(first->name, 'a', sizeof first->name);
	expect_machine("the name of schedule 1 is not 1 to 15 of a-z");
	strcpy(machine.schedules[1].name, "normal");
	expect_machine("schedule normal is there twice");
	first->slot_count = 0;
	expect_machine("schedule normal has not 1 to 16 slots");
	first->slot_count = 17;
	expect_machine("schedule normal has not 1 to 16 slots");
	first->slot_count = UINT32_MAX;
	expect_machine("schedule normal has not 1 to 16 slots");
	first->slots_us[1] = 99;
	expect_machine("schedule normal has a slot of less than 100 us");
	first->slots_us[1] = UINT32_MAX;
	expect_machine("schedule normal has a frame of more than 10 s");
	first->slots_us[2] = 1;
	expect_machine("schedule normal asks for something");
	first->reserved = 1;
	expect_machine("schedule normal asks for something");
	machine.schedules[3].slot_count = 1;
	expect_machine("there is a schedule without a name");
	first->name[0] = 0;
	expect_machine("there is a schedule without a name");
}

static void expect_vms(const char *words)
{
	check_vms();
	if (strcmp(story, words))
		print_error("not \"%s\", but: %s", words, story);
	assert_string_equal(story, words);
	begin(NULL);
}

static void wrong_parts_are_refused(void **state)
{
	(void)state;
	vms[0].slots[0] = 4;
	expect_vms("0: has a part in schedule 1, which the machine has not, or "
		   "has without that slot\n");
	vms[0].slots[2] = 1;
	expect_vms("0: has a part in schedule 3, which the machine has not, or "
		   "has without that slot\n");
	vms[0].slots[3] = MULL_SLOT_BACKGROUND;
	expect_vms("0: has a part in schedule 4, which the machine has not, or "
		   "has without that slot\n");
	vms[0].slots[1] = 1 << 16;
	expect_vms("0: has a part in schedule 2, which the machine has not, or "
		   "has without that slot\n");
	/* What the machine says must not be believed here. */
	machine.schedules[0].slot_count = 200;
	vms[1].slots[0] = vms[2].slots[0] = 0;
	vms[1].cpus[0] = 2;
	vms[2].cpus[0] = 3;
	expect_vms("0: has a part in schedule 1, which the machine has not, or "
		   "has without that slot\n");
}

static void a_cpu_is_shared_by_slots_only(void **state)
{
	(void)state;
	vms[1].slots[0] = 3;
	expect_vms("1: uses CPU 1, and so does vm \"vm0\" in slot 0 of "
		   "schedule normal\n");
	vms[0].slots[1] = 1;
	expect_vms("2: uses CPU 1, and so does vm \"vm0\" in slot 0 of "
		   "schedule other\n");
	vms[1].slots[0] = 0;
	expect_vms("1: uses CPU 1, and so does vm \"vm0\" (only one of them "
		   "has a part in the machine's schedules)\n");
	vms[0].vcpu_count = 2;
	vms[0].cpus[1] = 1;
	expect_vms("0: uses CPU 1 for two of its vCPUs (the machine's "
		   "share-cpus is not set)\n");
	/* With share-cpus they may also take turns within a slot, but nobody
	 * would let in who has no part. */
	machine.flags = MULL_MACHINE_SHARE_CPUS;
	vms[0].vcpu_count = 2;
	vms[0].cpus[1] = 1;
	vms[1].slots[0] = 3;
	expect_vms("");
	machine.flags = MULL_MACHINE_SHARE_CPUS;
	vms[1].slots[0] = 0;
	expect_vms("1: uses CPU 1, and so does vm \"vm0\" (only one of them "
		   "has a part in the machine's schedules)\n");
}

#define TEST(name) cmocka_unit_test_setup(name, begin)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(good_ones_are_let_pass),
		TEST(wrong_schedules_are_refused),
		TEST(wrong_parts_are_refused),
		TEST(a_cpu_is_shared_by_slots_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
