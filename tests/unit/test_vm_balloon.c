/* SPDX-License-Identifier: MIT */
/* Pages that a guest lends, and the frames that leave it and come back. */
#include "vm_life.h"

#include <mullion/balloon.h>
#include <mullion/bits.h>

#define FRAMES 4

static uint32_t free_before;

static int elastic(void **state)
{
	struct mull_vm *description;

	if (fresh(state))
		return -1;
	vm_destroy(vm);
	description = describe(0, 2);
	description->flags = MULL_VM_ELASTIC;
	description->memory_least = 1;
	vm = vm_create(description, 0, NULL);
	if (!vm)
		return -1;
	start();
	obey_all();
	work();
	atomic_store(&vm->balloon->bound, true);
	free_before = frames_free();
	return 0;
}

#define BALLOON_TEST(name) \
	cmocka_unit_test_setup_teardown(name, elastic, stop_all)

static void lend(uint32_t frame, uint32_t from, uint32_t to)
{
	for (uint32_t i = from; i < to; i++)
		assert_int_equal(balloon_lend(vm, gpa(frame * FRAME_SIZE +
						      i * PAGE_SIZE)),
				 ERR_NONE);
}

/* Until nothing moves: the vCPUs come by, and time passes. */
static void settle(void)
{
	work();
	obey_all();
	work();
}

static void lend_all(uint32_t frame)
{
	lend(frame, 0, BALLOON_PAGES);
	settle();
}

static bool is_ram(uint32_t frame)
{
	return guest_is_ram(&vm->memory, gpa(frame * FRAME_SIZE), 8);
}

static void a_whole_frame_becomes_free(void **state)
{
	uint32_t number = vm->frames[1];
	uint8_t byte = 0x5a;

	(void)state;
	assert_int_equal(guest_write(&vm->memory, gpa(FRAME_SIZE), &byte, 1),
			 ERR_NONE);
	lend(1, 0, BALLOON_PAGES - 1);
	settle();
	assert_int_equal(frames_free(), free_before);
	lend(1, BALLOON_PAGES - 1, BALLOON_PAGES);
	settle();
	assert_int_equal(frames_free(), free_before + 1);
	assert_int_equal(frame_owner_of(number), FRAME_FREE);
	assert_int_equal(vm_memory_now(vm), (FRAMES - 1) * FRAME_SIZE);
	assert_false(is_ram(1));
	assert_true(is_ram(0) && is_ram(2));
	/* An access across its edge is none. */
	assert_int_equal(guest_write(&vm->memory, gpa(FRAME_SIZE - 1), "ab", 2),
			 ERR_BAD_ADDRESS);
	assert_int_equal(
		*(uint8_t *)arch_window(hpa((uint64_t)number << FRAME_SHIFT)),
		0);
}

static void it_stays_until_every_vcpu_came_by(void **state)
{
	uint32_t number = vm->frames[1];

	(void)state;
	lend(1, 0, BALLOON_PAGES);
	work();
	assert_false(is_ram(1));
	assert_int_equal(frame_owner_of(number), FRAME_VM);
	vcpu_obey(vm->vcpus[0]);
	work();
	assert_int_equal(frame_owner_of(number), FRAME_VM);
	vcpu_obey(vm->vcpus[1]);
	work();
	assert_int_equal(frame_owner_of(number), FRAME_FREE);
	assert_int_equal(fake_virt.flushes, 2);
}

static void nothing_leaves_a_driver_that_does_not_ask(void **state)
{
	(void)state;
	atomic_store(&vm->balloon->bound, false);
	lend_all(1);
	assert_true(is_ram(1));
	assert_int_equal(frames_free(), free_before);
}

static void pages_count_once(void **state)
{
	(void)state;
	for (int i = 0; i < 2 * (int)BALLOON_PAGES; i++)
		assert_int_equal(balloon_lend(vm, gpa(0)), ERR_NONE);
	settle();
	assert_int_equal(vm->balloon->lent, 1);
	assert_true(is_ram(0));
	assert_int_equal(balloon_return(vm, gpa(PAGE_SIZE)), ERR_NONE);
	assert_int_equal(vm->balloon->lent, 1);
	assert_int_equal(balloon_return(vm, gpa(0)), ERR_NONE);
	assert_int_equal(balloon_return(vm, gpa(0)), ERR_NONE);
	assert_int_equal(vm->balloon->lent, 0);
	assert_int_equal(balloon_lend(vm, gpa(FRAMES * FRAME_SIZE)),
			 ERR_BAD_ADDRESS);
	assert_int_equal(balloon_return(vm, gpa(UINT64_MAX)), ERR_BAD_ADDRESS);
}

static void a_page_comes_back_with_a_zeroed_frame(void **state)
{
	const gpa_t at = gpa(FRAME_SIZE + 7 * PAGE_SIZE);
	uint64_t value = 1;

	(void)state;
	lend_all(1);
	assert_int_equal(balloon_return(vm, at), ERR_BUSY);
	work();
	assert_int_equal(balloon_return(vm, at), ERR_NONE);
	assert_int_equal(frames_free(), free_before);
	assert_int_equal(guest_read(&vm->memory, at, &value, 8), ERR_NONE);
	assert_int_equal(value, 0);
	assert_int_equal(vm->balloon->lent, BALLOON_PAGES - 1);
	/* And can go again. */
	assert_int_equal(balloon_lend(vm, at), ERR_NONE);
	settle();
	assert_int_equal(frames_free(), free_before + 1);
}

/* Another one takes all that the pool has. */
static uint32_t take_all(void)
{
	uint32_t count = 0, frame;

	while (frame_take(FRAME_VM + 7, 1, &frame) == ERR_NONE)
		count++;
	return count;
}

static void give_one(void)
{
	for (uint32_t i = 0; i < POOL_FRAMES + 1; i++)
		if (frame_owner_of(i) == FRAME_VM + 7) {
			frame_give(FRAME_VM + 7, i);
			return;
		}
	fail();
}

static void give_all(uint32_t count)
{
	while (count--)
		give_one();
}

static void without_a_frame_the_guest_waits(void **state)
{
	const gpa_t at = gpa(FRAME_SIZE);
	uint32_t taken;

	(void)state;
	lend_all(1);
	taken = take_all();
	assert_int_equal(balloon_return(vm, at), ERR_BUSY);
	work();
	assert_int_equal(balloon_return(vm, at), ERR_BUSY);
	assert_true(vm->balloon->waits);
	assert_true(vm_deadline(vm) > fake_time);
	assert_int_equal(vm->state, MULL_VM_RUNNING);
	give_one();
	fake_time = vm_deadline(vm);
	work();
	assert_false(vm->balloon->waits);
	assert_int_equal(balloon_return(vm, at), ERR_NONE);
	give_all(taken - 1);
}

static void a_touch_gets_a_frame(void **state)
{
	(void)state;
	lend_all(1);
	assert_true(vm_balloon_touch(vm, gpa(FRAME_SIZE + 5)));
	settle();
	assert_true(is_ram(1));
	assert_int_equal(vm->balloon->lent, 0);
	assert_int_equal(frames_free(), free_before);
	assert_false(vm_balloon_touch(vm, gpa(FRAMES * FRAME_SIZE)));
}

static void or_the_end_in_words(void **state)
{
	uint32_t taken;

	(void)state;
	lend_all(1);
	taken = take_all();
	assert_true(vm_balloon_touch(vm, gpa(FRAME_SIZE)));
	settle();
	assert_int_equal(vm->state, MULL_VM_CRASHED);
	assert_non_null(strstr(vm->end_words, "balloon"));
	give_all(taken);
	assert_int_equal(frames_free(), free_before + FRAMES);
}

static void a_reset_of_the_device_brings_all_back(void **state)
{
	(void)state;
	lend_all(1);
	lend_all(3);
	assert_int_equal(frames_free(), free_before + 2);
	atomic_store(&vm->balloon->emptied, true);
	settle();
	assert_false(atomic_load(&vm->balloon->emptied));
	assert_true(is_ram(1) && is_ram(3));
	assert_int_equal(vm->balloon->lent, 0);
	assert_int_equal(frames_free(), free_before);
}

static void a_restart_waits_for_what_is_gone(void **state)
{
	uint32_t taken;

	(void)state;
	lend_all(1);
	lend(2, 0, BALLOON_PAGES);
	work(); /* this one is on its way out */
	taken = take_all();
	vm_command(vm, MULL_COMMAND_RESET);
	work();
	obey_all();
	work();
	assert_int_equal(vm->state, MULL_VM_STARTING);
	assert_non_null(strstr(vm->end_words, "2 MiB"));
	give_one();
	fake_time = vm_deadline(vm);
	work();
	obey_all();
	assert_int_equal(vm->state, MULL_VM_RUNNING);
	assert_true(is_ram(1) && is_ram(2));
	give_all(taken - 1);
}

static void a_stop_gives_each_frame_once(void **state)
{
	lend_all(0);
	lend(1, 0, BALLOON_PAGES);
	work();
	stop_all(state);
	vm = vms[0];
	assert_int_equal(frames_free(), free_before + FRAMES);
	start();
	assert_int_equal(vm->state, MULL_VM_RUNNING);
	assert_true(is_ram(0) && is_ram(1));
	assert_int_equal(vm_memory_now(vm), FRAMES * FRAME_SIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BALLOON_TEST(a_whole_frame_becomes_free),
		BALLOON_TEST(it_stays_until_every_vcpu_came_by),
		BALLOON_TEST(nothing_leaves_a_driver_that_does_not_ask),
		BALLOON_TEST(pages_count_once),
		BALLOON_TEST(a_page_comes_back_with_a_zeroed_frame),
		BALLOON_TEST(without_a_frame_the_guest_waits),
		BALLOON_TEST(a_touch_gets_a_frame),
		BALLOON_TEST(or_the_end_in_words),
		BALLOON_TEST(a_reset_of_the_device_brings_all_back),
		BALLOON_TEST(a_restart_waits_for_what_is_gone),
		BALLOON_TEST(a_stop_gives_each_frame_once),
	};

	return cmocka_run_group_tests(tests, start_memory, NULL);
}
