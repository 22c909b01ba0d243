/* SPDX-License-Identifier: MIT */
/* What a driver may write into a ring, and what a hostile one does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "virtio_driver.h"

#include <cmocka.h>
#include <mullion/virtqueue.h>

static struct virtqueue queue;
static struct virtio_chain chain;

static int fresh(void **state)
{
	(void)state;
	ram_clear();
	queue = (struct virtqueue){
		.memory = &ram_memory,
		.size = QUEUE_SIZE,
		.enabled = true,
		.descriptors = gpa(DESCRIPTORS),
		.driver = gpa(DRIVER),
		.device = gpa(DEVICE),
	};
	return 0;
}

static enum error take(void)
{
	return virtqueue_take(&queue, &chain);
}

/* ---- taking -------------------------------------------------------------- */

static void chains_come_in_order(void **state)
{
	(void)state;
	assert_int_equal(take(), ERR_NOT_FOUND);
	describe(5, 0x8000, 16, NEXT, 2);
	describe(2, 0x9000, 512, NEXT | WRITE, 7);
	describe(7, 0xa000, 1, WRITE, 99);
	describe(0, 0xb000, 4, 0, 0);
	make_available(5);
	make_available(0);
	assert_int_equal(take(), ERR_NONE);
	assert_int_equal(chain.token.id, 5);
	assert_int_equal(chain.readable, 1);
	assert_int_equal(chain.readable_bytes, 16);
	assert_int_equal(chain.writable, 2);
	assert_int_equal(chain.writable_bytes, 513);
	assert_int_equal(chain.segments[0].at.value, 0x8000);
	assert_int_equal(chain.segments[2].at.value, 0xa000);
	assert_int_equal(take(), ERR_NONE);
	assert_int_equal(chain.token.id, 0);
	assert_int_equal(chain.writable, 0);
	assert_int_equal(take(), ERR_NOT_FOUND);
	/* Nothing was looked at twice that could have changed meanwhile. */
	assert_int_equal(ram_most_reads(DESCRIPTORS, 16 * QUEUE_SIZE), 1);
	assert_int_equal(ram_most_reads(DRIVER + 4, 2 * QUEUE_SIZE), 1);
}

static void an_indirect_table_is_a_chain(void **state)
{
	(void)state;
	queue.indirect = true;
	describe(1, INDIRECT, 2 * 16, IN_TABLE, 0);
	describe_at(INDIRECT, 0, 0x8000, 8, NEXT, 1);
	describe_at(INDIRECT, 1, 0x9000, 8, WRITE, 0);
	make_available(1);
	assert_int_equal(take(), ERR_NONE);
	assert_int_equal(chain.token.id, 1);
	assert_int_equal(chain.readable, 1);
	assert_int_equal(chain.writable, 1);
	/* Behind descriptors of the queue, as the last of the chain. */
	describe(3, 0xa000, 4, NEXT, 1);
	make_available(3);
	assert_int_equal(take(), ERR_NONE);
	assert_int_equal(chain.token.id, 3);
	assert_int_equal(chain.readable_bytes, 12);
}

static void indices_wrap(void **state)
{
	(void)state;
	put_16(DRIVER + 2, 65534);
	put_16(DEVICE + 2, 65534);
	queue.taken = queue.used = queue.signalled = 65534;
	for (uint16_t i = 0; i < QUEUE_SIZE; i++) {
		describe(i, 0x8000, 4, 0, 0);
		make_available(i);
	}
	for (uint16_t i = 0; i < QUEUE_SIZE; i++) {
		assert_int_equal(take(), ERR_NONE);
		assert_int_equal(chain.token.id, i);
		assert_int_equal(virtqueue_give(&queue, chain.token, i),
				 ERR_NONE);
	}
	assert_int_equal(used_count(), 6);
	assert_int_equal(used_id(5), 7);
	assert_int_equal(used_length(5), 7);
	assert_int_equal(used_id(65534), 0);
}

static void broken(enum error error)
{
	void *state = NULL;

	assert_int_equal(take(), error);
	fresh(&state);
	queue.indirect = true;
}

static void rings_that_lie_are_told(void **state)
{
	(void)state;
	queue.indirect = true;
	make_available(QUEUE_SIZE); /* there is no such descriptor */
	broken(ERR_BAD_REQUEST);
	describe(0, 0x8000, 4, NEXT, QUEUE_SIZE);
	make_available(0);
	broken(ERR_BAD_REQUEST);
	describe(0, 0x8000, 4, NEXT, 1); /* a loop */
	describe(1, 0x8000, 4, NEXT, 0);
	make_available(0);
	broken(ERR_BAD_REQUEST);
	describe(0, 0x8000, 4, NEXT | WRITE, 1); /* read behind write */
	describe(1, 0x8000, 4, 0, 0);
	make_available(0);
	broken(ERR_BAD_REQUEST);
	describe(0, ~0ull - 2, 4, 0, 0); /* over the end of all addresses */
	make_available(0);
	broken(ERR_BAD_REQUEST);
	put_16(DRIVER + 2, QUEUE_SIZE + 1); /* more than there can be */
	broken(ERR_BAD_REQUEST);
	queue.driver = gpa(RAM_SIZE);
	broken(ERR_BAD_ADDRESS);
	queue.descriptors = gpa(RAM_SIZE - 8);
	make_available(0);
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
		describe(0, INDIRECT, bad[i].length, bad[i].flags, 1);
		make_available(0);
		broken(ERR_BAD_REQUEST);
	}
	describe(0, INDIRECT, 16, IN_TABLE, 0); /* a table in a table */
	describe_at(INDIRECT, 0, INDIRECT, 16, IN_TABLE, 0);
	make_available(0);
	broken(ERR_BAD_REQUEST);
	describe(0, INDIRECT, 16, IN_TABLE, 0); /* out of the table */
	describe_at(INDIRECT, 0, 0x8000, 4, NEXT, 1);
	make_available(0);
	broken(ERR_BAD_REQUEST);
	describe(0, RAM_SIZE, 16, IN_TABLE, 0);
	make_available(0);
	broken(ERR_BAD_ADDRESS);
	queue.indirect = false; /* it was not negotiated */
	describe(0, INDIRECT, 16, IN_TABLE, 0);
	make_available(0);
	broken(ERR_BAD_REQUEST);
}

static void a_chain_has_an_end(void **state)
{
	uint32_t count = VIRTQUEUE_SIZE_MAX;

	(void)state;
	queue.indirect = true;
	for (uint32_t i = 0; i < count; i++)
		describe_at(INDIRECT, i, 0x8000, ~0u, i + 1 < count ? NEXT : 0,
			    (uint16_t)(i + 1));
	describe(0, INDIRECT, count * 16, IN_TABLE, 0);
	make_available(0);
	assert_int_equal(take(), ERR_NONE);
	assert_int_equal(chain.readable, count);
	assert_true(chain.readable_bytes == count * (uint64_t)~0u);
	describe(1, 0x8000, 4, NEXT, 0); /* and one more before it */
	make_available(1);
	assert_int_equal(take(), ERR_BAD_REQUEST);
}

/* ---- notifications and interrupts ----------------------------------------- */

static void it_asks_for_a_notification_when_it_has_all(void **state)
{
	(void)state;
	queue.event_index = true;
	describe(0, 0x8000, 4, 0, 0);
	make_available(0);
	assert_int_equal(take(), ERR_NONE);
	assert_int_equal(get_16(DEVICE + 4 + 8 * QUEUE_SIZE), 0);
	assert_int_equal(take(), ERR_NOT_FOUND);
	assert_int_equal(get_16(DEVICE + 4 + 8 * QUEUE_SIZE), 1);
}

static bool gives(uint16_t count)
{
	while (count--)
		assert_int_equal(virtqueue_give(&queue, chain.token, 0),
				 ERR_NONE);
	return virtqueue_interrupts(&queue);
}

static void a_driver_may_want_no_interrupts(void **state)
{
	(void)state;
	assert_false(virtqueue_interrupts(&queue)); /* of nothing */
	assert_true(gives(1));
	assert_false(virtqueue_interrupts(&queue)); /* it had that one */
	put_16(DRIVER, 1);
	assert_false(gives(2));
	put_16(DRIVER, 0);
	assert_true(gives(1));
}

static void a_driver_may_say_from_where_on(void **state)
{
	uint64_t event = DRIVER + 4 + 2 * QUEUE_SIZE;

	(void)state;
	queue.event_index = true;
	put_16(DRIVER, 1);     /* has no meaning then */
	assert_true(gives(1)); /* it waits for the first */
	put_16(event, 3);
	assert_false(gives(2)); /* 2 and 3: the one behind is meant */
	assert_true(gives(1));
	assert_false(gives(1));
	put_16(event, 4); /* past: it looked itself */
	assert_false(gives(5));
	queue.used = queue.signalled = 65535;
	put_16(event, 0);
	assert_false(gives(1));
	assert_true(gives(1));
	queue.driver = gpa(RAM_SIZE);
	assert_false(gives(1)); /* it can be asked nothing */
}

/* ---- bytes --------------------------------------------------------------- */

static void several_are_given_as_one(void **state)
{
	struct virtio_given given[2];
	gpa_t at;

	(void)state;
	describe(0, 0x8000, 3, WRITE, 0);
	describe(1, 0x9000, 2, WRITE | NEXT, 2);
	describe(2, 0xa000, 2, WRITE, 0);
	make_available(0);
	make_available(1);
	assert_int_equal(take(), ERR_NONE);
	given[0] = (struct virtio_given){ chain.token, 3 };
	assert_int_equal(take(), ERR_NONE);
	assert_int_equal(virtio_chain_place(&chain, 3, &at), ERR_NONE);
	assert_int_equal(at.value, 0xa001);
	assert_int_equal(virtio_chain_place(&chain, 4, &at), ERR_BAD_ADDRESS);
	assert_int_equal(take(), ERR_NOT_FOUND);
	given[1] = (struct virtio_given){ chain.token, 4 };
	assert_int_equal(virtqueue_give_all(&queue, given, 2), ERR_NONE);
	assert_int_equal(used_count(), 2);
	assert_int_equal(used_id(1), 1);
	assert_int_equal(used_length(1), 4);
}

static void bytes_go_over_the_edges_of_segments(void **state)
{
	char bytes[16] = "";

	(void)state;
	memcpy(ram + 0x8000, "abc", 3);
	memcpy(ram + 0x9000, "defg", 4);
	describe(0, 0x8000, 3, NEXT, 1);
	describe(1, 0, 0, NEXT, 2);
	describe(2, 0x9000, 4, NEXT, 3);
	describe(3, 0xa000, 2, NEXT | WRITE, 4);
	describe(4, 0xb000, 5, WRITE, 0);
	make_available(0);
	assert_int_equal(take(), ERR_NONE);
	assert_int_equal(virtio_chain_read(&queue, &chain, 0, bytes, 7),
			 ERR_NONE);
	assert_string_equal(bytes, "abcdefg");
	assert_int_equal(virtio_chain_read(&queue, &chain, 2, bytes, 3),
			 ERR_NONE);
	assert_memory_equal(bytes, "cde", 3);
	assert_int_equal(virtio_chain_read(&queue, &chain, 7, bytes, 0),
			 ERR_NONE);
	assert_int_equal(virtio_chain_read(&queue, &chain, 1, bytes, 7),
			 ERR_BAD_ADDRESS);
	assert_int_equal(virtio_chain_write(&queue, &chain, 1, "12345", 5),
			 ERR_NONE);
	assert_memory_equal(ram + 0xa000,
			    "\0"
			    "1",
			    2);
	assert_memory_equal(ram + 0xb000, "2345", 5);
	assert_int_equal(virtio_chain_write(&queue, &chain, 3, "12345", 5),
			 ERR_BAD_ADDRESS);
	chain.segments[3].at = gpa(RAM_SIZE - 1);
	assert_int_equal(virtio_chain_write(&queue, &chain, 0, "12", 2),
			 ERR_BAD_ADDRESS);
}

#define TEST(name) cmocka_unit_test_setup(name, fresh)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(chains_come_in_order),
		TEST(an_indirect_table_is_a_chain),
		TEST(indices_wrap),
		TEST(rings_that_lie_are_told),
		TEST(tables_that_lie_are_told),
		TEST(a_chain_has_an_end),
		TEST(it_asks_for_a_notification_when_it_has_all),
		TEST(a_driver_may_want_no_interrupts),
		TEST(a_driver_may_say_from_where_on),
		TEST(several_are_given_as_one),
		TEST(bytes_go_over_the_edges_of_segments),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
