/* SPDX-License-Identifier: MIT */
/* A driver at a packed ring. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "virtio_driver.h"

#include <cmocka.h>
#include <mullion/virtqueue.h>

#define AVAILABLE 0x80
#define USED 0x8000
#define WRAP 0x8000

static struct virtqueue queue;
static struct virtio_chain chain;
static bool driver_wrap;
static uint32_t driver_place;

static int fresh(void **state)
{
	(void)state;
	ram_clear();
	memset(&chain, 0xee, sizeof chain);
	queue = (struct virtqueue){
		.memory = &ram_memory,
		.size = QUEUE_SIZE,
		.enabled = true,
		.packed = true,
		.taken_wrap = true,
		.used_wrap = true,
		.descriptors = gpa(DESCRIPTORS),
		.driver = gpa(DRIVER),
		.device = gpa(DEVICE),
	};
	driver_wrap = true;
	driver_place = 0;
	return 0;
}

/* As the driver writes the next descriptor of its ring. */
static void offer(uint64_t address, uint32_t length, uint16_t id,
		  uint16_t flags)
{
	flags |= driver_wrap ? AVAILABLE : USED;
	describe(driver_place, address, length, id, flags);
	if (++driver_place == QUEUE_SIZE) {
		driver_place = 0;
		driver_wrap = !driver_wrap;
	}
}

static enum error take(void)
{
	return virtqueue_take(&queue, &chain);
}

static void give(uint32_t written)
{
	assert_int_equal(virtqueue_give(&queue, chain.token, written),
			 ERR_NONE);
}

static uint16_t flags_at(uint32_t place)
{
	return get_16(DESCRIPTORS + place * 16 + 14);
}

static void chains_come_in_order(void **state)
{
	(void)state;
	assert_int_equal(take(), ERR_NOT_FOUND);
	offer(0x8000, 4, 0, NEXT);
	offer(0x9000, 5, 0, NEXT | WRITE);
	offer(0xa000, 6, 77, WRITE);
	offer(0xb000, 1, 78, 0);
	assert_int_equal(take(), ERR_NONE);
	assert_int_equal(chain.token.id, 77); /* of the last one */
	assert_int_equal(chain.token.places, 3);
	assert_int_equal(chain.readable, 1);
	assert_int_equal(chain.writable, 2);
	assert_int_equal(chain.readable_bytes, 4);
	assert_int_equal(chain.writable_bytes, 11);
	assert_int_equal(chain.segments[2].at.value, 0xa000);
	give(9);
	assert_int_equal(flags_at(0), AVAILABLE | USED | WRITE);
	assert_int_equal(get_16(DESCRIPTORS + 12), 77);
	assert_int_equal(get_32(DESCRIPTORS + 8), 9);
	assert_int_equal(get_32(DESCRIPTORS), 0x8000);
	assert_int_equal(take(), ERR_NONE);
	assert_int_equal(chain.token.id, 78);
	give(0);
	assert_int_equal(flags_at(3), AVAILABLE | USED);
	assert_int_equal(flags_at(1), AVAILABLE | NEXT | WRITE);
	assert_int_equal(take(), ERR_NOT_FOUND);
	/* Nothing was looked at twice that could have changed meanwhile, but
	 * the flags at the place where nothing is yet. */
	assert_int_equal(ram_most_reads(DESCRIPTORS, 14), 1);
	assert_int_equal(ram_most_reads(DESCRIPTORS + 16, 48), 1);
}

static void places_wrap(void **state)
{
	(void)state;
	for (uint16_t i = 0; i < 40; i++) {
		offer(0x8000, 4, 0, NEXT);
		offer(0x9000, 4, 0, NEXT);
		offer(0xa000, 4, i, WRITE);
		assert_int_equal(take(), ERR_NONE);
		assert_int_equal(chain.token.id, i);
		assert_int_equal(chain.readable_bytes, 8);
		give(i);
		assert_int_equal(
			get_16(DESCRIPTORS + i * 3 % QUEUE_SIZE * 16 + 12), i);
		assert_int_equal(flags_at(i * 3u % QUEUE_SIZE) &
					 (AVAILABLE | USED),
				 i * 3 / QUEUE_SIZE % 2 ? 0 : AVAILABLE | USED);
		assert_int_equal(take(), ERR_NOT_FOUND);
	}
}

static void a_chain_that_is_put_back_comes_again(void **state)
{
	(void)state;
	for (uint16_t i = 0; i < 40; i++) {
		offer(0x8000, 4, 0, NEXT);
		offer(0x9000, 4, 0, NEXT);
		offer(0xa000, 4, i, WRITE);
		for (int j = 0; j < 2; j++) {
			assert_int_equal(take(), ERR_NONE);
			assert_int_equal(chain.token.id, i);
			virtqueue_untake(&queue, chain.token);
		}
		assert_int_equal(take(), ERR_NONE);
		assert_int_equal(take(), ERR_NOT_FOUND);
		give(0);
	}
}

static void chains_come_back_in_any_order(void **state)
{
	struct virtio_token early;

	(void)state;
	offer(0x8000, 4, 5, NEXT);
	offer(0x8000, 4, 5, 0);
	offer(0x9000, 4, 6, 0);
	assert_int_equal(take(), ERR_NONE);
	early = chain.token;
	assert_int_equal(take(), ERR_NONE);
	give(0);
	assert_int_equal(get_16(DESCRIPTORS + 12), 6);
	assert_int_equal(virtqueue_give(&queue, early, 0), ERR_NONE);
	assert_int_equal(get_16(DESCRIPTORS + 16 + 12), 5);
	assert_int_equal(queue.used, 3);
	assert_int_equal(queue.taken, 3);
}

/* Over the end of the ring; and one chain that takes two places. */
static void several_come_back_as_one(void **state)
{
	struct virtio_given given[3];

	(void)state;
	for (uint16_t i = 0; i < QUEUE_SIZE - 2; i++) {
		offer(0x8000, 4, i, WRITE);
		take();
		give(4);
	}
	offer(0x8000, 4, 10, WRITE);
	offer(0x9000, 4, 11, WRITE | NEXT);
	offer(0xa000, 4, 11, WRITE); /* behind the wrap */
	offer(0xb000, 4, 12, WRITE);
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(take(), ERR_NONE);
		assert_int_equal(chain.token.id, 10 + i);
		given[i] = (struct virtio_given){ chain.token, 4 };
	}
	assert_int_equal(virtqueue_give_all(&queue, given, 3), ERR_NONE);
	assert_int_equal(flags_at(QUEUE_SIZE - 2) & (USED | AVAILABLE),
			 USED | AVAILABLE);
	assert_int_equal(flags_at(QUEUE_SIZE - 1) & (USED | AVAILABLE),
			 USED | AVAILABLE);
	assert_int_equal(flags_at(1) & (USED | AVAILABLE), 0);
	assert_int_equal(get_16(DESCRIPTORS + 16 + 12), 12);
	offer(0x8000, 4, 13, WRITE);
	assert_int_equal(take(), ERR_NONE);
	give(4);
	assert_int_equal(flags_at(2) & (USED | AVAILABLE), 0);
}

static void an_indirect_table_is_a_chain(void **state)
{
	(void)state;
	queue.indirect = true;
	/* Flags but one have no meaning there. */
	describe_at(INDIRECT, 0, 0x8000, 8, 9, 0);
	describe_at(INDIRECT, 1, 0x9000, 8, 9, WRITE | NEXT | IN_TABLE);
	offer(INDIRECT, 2 * 16, 3, IN_TABLE);
	assert_int_equal(take(), ERR_NONE);
	assert_int_equal(chain.token.id, 3);
	assert_int_equal(chain.token.places, 1);
	assert_int_equal(chain.readable, 1);
	assert_int_equal(chain.writable, 1);
}

static void broken(enum error error)
{
	void *state = NULL;

	assert_int_equal(take(), error);
	assert_int_equal(queue.taken, 0);
	fresh(&state);
	queue.indirect = true;
}

static void rings_that_lie_are_told(void **state)
{
	(void)state;
	for (int i = 0; i < QUEUE_SIZE; i++) /* without an end */
		offer(0x8000, 4, 0, NEXT);
	broken(ERR_BAD_REQUEST);
	offer(0x8000, 4, 0, NEXT | WRITE); /* read behind write */
	offer(0x8000, 4, 0, 0);
	broken(ERR_BAD_REQUEST);
	offer(~0ull - 2, 4, 0, 0);
	broken(ERR_BAD_REQUEST);
	offer(0x8000, 4, 0, NEXT); /* a table that is not alone */
	offer(INDIRECT, 16, 0, IN_TABLE);
	broken(ERR_BAD_REQUEST);
	queue.descriptors = gpa(RAM_SIZE - 8);
	broken(ERR_BAD_ADDRESS);
	queue.event_index = true;
	queue.device = gpa(RAM_SIZE);
	broken(ERR_BAD_ADDRESS);
}

static void tables_that_lie_are_told(void **state)
{
	static const struct {
		uint32_t length;
		uint16_t flags;
	} bad[] = {
		{ 0, IN_TABLE },
		{ 15, IN_TABLE },
		{ 17, IN_TABLE },
		{ 16 * (VIRTQUEUE_SIZE_MAX + 1), IN_TABLE },
		{ 16, IN_TABLE | NEXT },
		{ 16, IN_TABLE | WRITE },
	};

	(void)state;
	queue.indirect = true;
	for (uint32_t i = 0; i < ARRAY_COUNT(bad); i++) {
		offer(INDIRECT, bad[i].length, 0, bad[i].flags);
		broken(ERR_BAD_REQUEST);
	}
	offer(RAM_SIZE, 16, 0, IN_TABLE);
	broken(ERR_BAD_ADDRESS);
	describe_at(INDIRECT, 0, 0x8000, 4, 0, WRITE);
	describe_at(INDIRECT, 1, 0x8000, 4, 0, 0);
	offer(INDIRECT, 32, 0, IN_TABLE);
	broken(ERR_BAD_REQUEST);
	queue.indirect = false; /* it was not negotiated */
	offer(INDIRECT, 16, 0, IN_TABLE);
	broken(ERR_BAD_REQUEST);
}

/* ---- notifications and interrupts ----------------------------------------- */

static void it_asks_for_a_notification_when_it_has_all(void **state)
{
	(void)state;
	queue.event_index = true;
	for (uint16_t i = 0; i < QUEUE_SIZE; i++)
		offer(0x8000, 4, i, 0);
	assert_int_equal(take(), ERR_NONE);
	assert_int_equal(get_32(DEVICE), 0);
	for (uint16_t i = 1; i < QUEUE_SIZE; i++)
		assert_int_equal(take(), ERR_NONE);
	assert_int_equal(take(), ERR_NOT_FOUND);
	assert_int_equal(get_16(DEVICE), 0); /* the first of the next round */
	assert_int_equal(get_16(DEVICE + 2), 2);
	for (uint16_t i = 0; i < QUEUE_SIZE; i++)
		give(0);
	offer(0x8000, 4, 0, 0);
	assert_int_equal(take(), ERR_NONE);
	assert_int_equal(take(), ERR_NOT_FOUND);
	assert_int_equal(get_16(DEVICE), 1);
}

static bool gives(uint16_t count)
{
	chain.token = (struct virtio_token){ 0, 1 };
	while (count--)
		give(0);
	return virtqueue_interrupts(&queue);
}

static void wants(uint16_t place, uint16_t flags)
{
	put_16(DRIVER, place);
	put_16(DRIVER + 2, flags);
}

static void a_driver_may_want_no_interrupts(void **state)
{
	(void)state;
	assert_false(virtqueue_interrupts(&queue)); /* of nothing */
	assert_true(gives(1));
	assert_false(virtqueue_interrupts(&queue)); /* it had that one */
	wants(0, 1);
	assert_false(gives(2));
	wants(0, 0);
	assert_true(gives(1));
	queue.driver = gpa(RAM_SIZE);
	assert_false(gives(1)); /* it can be asked nothing */
}

static void a_driver_may_say_from_where_on(void **state)
{
	(void)state;
	queue.event_index = true;
	wants(3 | WRAP, 2);
	assert_false(gives(3)); /* 0 to 2: the one behind is meant */
	assert_true(gives(1));
	assert_false(gives(2));
	wants(1, 2); /* in the next round */
	assert_false(gives(3));
	assert_true(gives(1));
	assert_false(gives(1)); /* 2 */
	wants(4 | WRAP, 2);	/* was passed long ago */
	assert_false(gives(1));
	/* All of one go over the end: places 4 to 7 and 0 to 2. */
	wants(6, 2);
	assert_true(gives(7));
	assert_int_equal(queue.used, 3);
	assert_true(queue.used_wrap);
	queue.event_index = false; /* then such a wish is none */
	assert_true(gives(1));
}

#define TEST(name) cmocka_unit_test_setup(name, fresh)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(chains_come_in_order),
		TEST(places_wrap),
		TEST(a_chain_that_is_put_back_comes_again),
		TEST(chains_come_back_in_any_order),
		TEST(several_come_back_as_one),
		TEST(an_indirect_table_is_a_chain),
		TEST(rings_that_lie_are_told),
		TEST(tables_that_lie_are_told),
		TEST(it_asks_for_a_notification_when_it_has_all),
		TEST(a_driver_may_want_no_interrupts),
		TEST(a_driver_may_say_from_where_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
