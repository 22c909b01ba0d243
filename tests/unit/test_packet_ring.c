/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <mullion/packet_ring.h>
#include <pthread.h>
#include <string.h>

static struct packet_ring ring;
static uint8_t memory[PACKET_RING_BYTES] __attribute__((aligned(64)));

static int fresh(void **state)
{
	(void)state;
	memset(&ring, 0, sizeof ring);
	memset(memory, 0xee, sizeof memory);
	ring.bytes = memory;
	return 0;
}

static bool put(uint32_t length, uint8_t with)
{
	uint32_t slot;
	struct packet *packet = packet_ring_reserve(&ring, length, &slot);

	if (!packet)
		return false;
	assert_true((uint8_t *)packet >= memory);
	assert_true(packet->bytes + length <= memory + sizeof memory);
	packet->length = length;
	memset(packet->bytes, with, length);
	packet_ring_commit(&ring, slot);
	return true;
}

static void take(uint32_t length, uint8_t with)
{
	const struct packet *packet = packet_ring_first(&ring);

	assert_non_null(packet);
	assert_int_equal(packet->length, length);
	for (uint32_t i = 0; i < length; i++)
		assert_int_equal(packet->bytes[i], with);
	packet_ring_pop(&ring);
}

static void packets_come_in_order(void **state)
{
	(void)state;
	assert_null(packet_ring_first(&ring));
	for (uint32_t round = 0; round < 1000; round++) {
		uint32_t length = round * 7919 % 1500 + 14;

		assert_true(put(length, (uint8_t)round));
		assert_true(put(PACKET_MAX, (uint8_t)(round + 1)));
		take(length, (uint8_t)round);
		assert_true(put(14, 3));
		take(PACKET_MAX, (uint8_t)(round + 1));
		take(14, 3);
		assert_null(packet_ring_first(&ring));
	}
	assert_int_equal(packet_ring_count(&ring), 3000);
	assert_int_equal(packet_ring_popped(&ring), 3000);
}

static void a_full_ring_refuses(void **state)
{
	uint32_t count = 0;

	(void)state;
	while (put(1514, (uint8_t)count))
		count++;
	/* 24 units of 64 bytes each; the last may not wrap. */
	assert_int_equal(count, PACKET_RING_BYTES / 64 / 24);
	take(1514, 0);
	/* What is free at both ends is not one piece. */
	assert_false(put(3000, 9));
	assert_true(put(1514, 9));
	for (uint32_t i = 1; i < count; i++)
		take(1514, (uint8_t)i);
	take(1514, 9);
	assert_null(packet_ring_first(&ring));

	for (count = 0; put(14, 1); count++)
		;
	assert_int_equal(count, PACKET_RING_SLOTS - 1);
}

/* Its counts wrap, since they go on for ever. */
static void it_goes_round_for_ever(void **state)
{
	(void)state;
	ring.reserved = ring.taken = ~0ull << 32 | (~0u - 63);
	for (uint32_t round = 0; round < 600; round++) {
		assert_true(put(1514, (uint8_t)round));
		assert_true(put(60, (uint8_t)round));
		take(1514, (uint8_t)round);
		take(60, (uint8_t)round);
	}
}

static void a_slow_sender_holds_up_those_behind_it(void **state)
{
	uint32_t first, second;

	(void)state;
	packet_ring_reserve(&ring, 100, &first)->length = 100;
	packet_ring_reserve(&ring, 200, &second)->length = 200;
	assert_false(packet_ring_commit(&ring, second));
	assert_null(packet_ring_first(&ring));
	assert_true(packet_ring_wait(&ring));
	assert_true(packet_ring_commit(&ring, first)); /* wakes it up */
	assert_int_equal(packet_ring_first(&ring)->length, 100);
	packet_ring_pop(&ring);
	assert_int_equal(packet_ring_first(&ring)->length, 200);
}

static void the_receiver_is_told_once(void **state)
{
	uint32_t slot;

	(void)state;
	packet_ring_reserve(&ring, 60, &slot);
	assert_false(packet_ring_commit(&ring, slot)); /* it is busy */
	assert_false(packet_ring_wait(&ring)); /* and looks before it rests */
	packet_ring_pop(&ring);
	assert_true(packet_ring_wait(&ring));
	packet_ring_reserve(&ring, 60, &slot);
	assert_true(packet_ring_commit(&ring, slot));
	packet_ring_reserve(&ring, 60, &slot);
	assert_false(packet_ring_commit(&ring, slot));
}

#define SENDERS 4
#define EACH 20000

static _Atomic uint32_t refused;

/* Each packet holds its sender, its number, and bytes that follow from them. */
static void *send_many(void *argument)
{
	uint32_t sender = (uint32_t)(uintptr_t)argument;

	for (uint32_t number = 0; number < EACH; number++) {
		uint32_t length = 14 + (number * 37 + sender) % 1500, slot;
		struct packet *packet;

		while (!(packet = packet_ring_reserve(&ring, length, &slot)))
			refused++;
		packet->length = length;
		packet->header.summed = (uint16_t)sender;
		memcpy(packet->bytes, &number, 4);
		memset(packet->bytes + 4, (int)(number ^ sender), length - 4);
		packet_ring_commit(&ring, slot);
	}
	return NULL;
}

static void many_may_send_at_once(void **state)
{
	uint32_t next[SENDERS] = { 0 };
	pthread_t threads[SENDERS];

	(void)state;
	for (uintptr_t i = 0; i < SENDERS; i++)
		pthread_create(&threads[i], NULL, send_many, (void *)i);
	for (uint32_t count = 0; count < SENDERS * EACH;) {
		const struct packet *packet = packet_ring_first(&ring);
		uint32_t number, sender;

		if (!packet)
			continue;
		sender = packet->header.summed;
		assert_true(sender < SENDERS);
		memcpy(&number, packet->bytes, 4);
		assert_int_equal(number, next[sender]++);
		assert_int_equal(packet->length,
				 14 + (number * 37 + sender) % 1500);
		for (uint32_t i = 4; i < packet->length; i++)
			if (packet->bytes[i] != (uint8_t)(number ^ sender))
				fail_msg("byte %u of packet %u is torn", i,
					 number);
		packet_ring_pop(&ring);
		count++;
	}
	for (int i = 0; i < SENDERS; i++)
		pthread_join(threads[i], NULL);
	assert_null(packet_ring_first(&ring));
}

#define TEST(name) cmocka_unit_test_setup(name, fresh)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(packets_come_in_order),
		TEST(a_full_ring_refuses),
		TEST(it_goes_round_for_ever),
		TEST(a_slow_sender_holds_up_those_behind_it),
		TEST(the_receiver_is_told_once),
		TEST(many_may_send_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
