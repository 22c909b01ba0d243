/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <mullion/bits.h>
#include <mullion/window.h>
#include <string.h>

#define FLYING_MAX 64
#define TOTAL 100000 /* bytes each way */

static uint8_t letter(uint32_t position)
{
	return (uint8_t)(position * 7 + (position >> 8) * 13);
}

/* ---- a pipe that loses, doubles and reorders ------------------------------ */

static struct side {
	struct window window;
	uint32_t put, got; /* bytes so far */
	uint32_t reads;	   /* bytes a round that its user takes */
} sides[2];

static struct datagram {
	int to;
	struct mull_datagram header;
	uint8_t data[MULL_DATAGRAM_DATA_MAX];
} flying[FLYING_MAX];
static uint32_t flying_count, random_state, loss, datagrams;

static uint32_t dice(uint32_t sides_of_it)
{
	random_state = random_state * 1664525 + 1013904223;
	return (random_state >> 8) % sides_of_it;
}

static void push(int to, const struct mull_datagram *header,
		 const uint8_t *data)
{
	struct datagram *at;

	datagrams++;
	if (dice(100) < loss || flying_count == FLYING_MAX)
		return;
	at = &flying[flying_count++];
	at->to = to;
	at->header = *header;
	memcpy(at->data, data, header->length);
}

static void deliver(uint64_t now)
{
	while (flying_count) {
		/* Out of order where it loses, too. */
		uint32_t i = loss ? dice(flying_count) : 0;
		struct datagram one = flying[i];

		memmove(flying + i, flying + i + 1,
			(--flying_count - i) * sizeof *flying);
		window_receive(&sides[one.to].window, &one.header, one.data,
			       now);
		if (dice(100) < loss) /* and once more */
			window_receive(&sides[one.to].window, &one.header,
				       one.data, now);
	}
}

static void speak(int number, uint64_t now)
{
	struct side *side = &sides[number];
	struct mull_datagram header = { 0 };
	uint8_t bytes[MULL_DATAGRAM_DATA_MAX];
	size_t length = 1 + dice(300);

	if (length > TOTAL - side->put)
		length = TOTAL - side->put;
	for (size_t i = 0; i < length; i++)
		bytes[i] = letter(side->put + (uint32_t)i);
	side->put += (uint32_t)window_put(&side->window, bytes, length, now);
	while (window_next(&side->window, &header, bytes, &length, now)) {
		assert_in_range(length, 0, MULL_DATAGRAM_DATA_MAX);
		header.length = (uint16_t)length;
		push(!number, &header, bytes);
	}
}

static void listen(int number)
{
	struct side *side = &sides[number];
	uint8_t bytes[MULL_DATAGRAM_DATA_MAX];
	size_t length = window_take(&side->window, bytes, side->reads);

	for (size_t i = 0; i < length; i++)
		assert_int_equal(bytes[i], letter(side->got++));
}

/* Milliseconds until all is there. */
static uint64_t run(uint32_t percent, uint32_t reads)
{
	uint64_t now = 5;

	memset(sides, 0, sizeof sides);
	flying_count = datagrams = 0;
	random_state = percent + 1;
	loss = percent;
	for (int i = 0; i < 2; i++) {
		window_start(&sides[i].window);
		sides[i].reads = i ? reads : MULL_DATAGRAM_DATA_MAX;
	}
	/* Positions wrap on the way. */
	for (int i = 0; i < 2; i++)
		sides[i].window.taken = sides[i].window.next = UINT32_MAX - 99;
	while (sides[0].got < TOTAL || sides[1].got < TOTAL) {
		assert_true(now < 3000000);
		for (int i = 0; i < 2; i++)
			speak(i, now);
		deliver(now);
		listen(0);
		listen(1);
		now++;
	}
	return now;
}

static void nothing_is_sent_twice_without_loss(void **state)
{
	(void)state;
	run(0, MULL_DATAGRAM_DATA_MAX);
	/* One for a put of 150 bytes or so each, and news. */
	assert_in_range(datagrams, 100, 3 * 2 * TOTAL / 150);
}

static void all_comes_in_order_whatever_is_lost(void **state)
{
	(void)state;
	for (uint32_t percent = 5; percent <= 50; percent += 15)
		run(percent, MULL_DATAGRAM_DATA_MAX);
}

static void a_slow_reader_is_waited_for(void **state)
{
	(void)state;
	assert_true(run(0, 20) >= TOTAL / 20);
	run(20, 20);
}

/* ---- single steps --------------------------------------------------------- */

static struct window window;
static struct mull_datagram header;
static uint8_t data[MULL_DATAGRAM_DATA_MAX];
static size_t length;

static int fresh(void **state)
{
	(void)state;
	window_start(&window);
	memset(&header, 0, sizeof header);
	memset(data, 1, sizeof data);
	return 0;
}

static void come(uint32_t position, uint16_t count)
{
	header = (struct mull_datagram){ .position = position,
					 .length = count,
					 .room = WINDOW_SIZE };
	window_receive(&window, &header, data, 0);
}

static void only_what_follows_is_taken(void **state)
{
	(void)state;
	come(1, 100); /* byte 0 is missing */
	assert_int_equal(window.there, 0);
	assert_true(window.news);
	come(0, 100);
	come(50, 100); /* 50 of these are new */
	assert_int_equal(window.there, 150);
	come(0, 100);
	come(150u - 768, 768);
	assert_int_equal(window.there, 150);
	assert_int_equal(window.next, 150);
}

static void a_full_window_takes_no_more(void **state)
{
	uint8_t bytes[WINDOW_SIZE];

	(void)state;
	for (uint32_t i = 0; i < 20; i++)
		come(i * 768, 768);
	assert_int_equal(window.there, WINDOW_SIZE);
	assert_true(window_next(&window, &header, data, &length, 0));
	assert_int_equal(header.taken, WINDOW_SIZE);
	assert_int_equal(header.room, 0);
	assert_int_equal(window_take(&window, bytes, 100), 100);
	assert_false(window_next(&window, &header, data, &length, 0));
	window_take(&window, bytes, WINDOW_SIZE / 2);
	assert_true(window_next(&window, &header, data, &length, 0));
	assert_int_equal(header.room, WINDOW_SIZE / 2 + 100);
	assert_int_equal(window_put(&window, bytes, sizeof bytes, 0),
			 WINDOW_SIZE);
	assert_int_equal(window_put(&window, bytes, 1, 0), 0);
}

static void what_is_not_taken_comes_again_ever_later(void **state)
{
	uint64_t now = 0, last = 0;

	(void)state;
	assert_int_equal(window_put(&window, "abc", 3, 0), 3);
	assert_true(window_next(&window, &header, data, &length, 0));
	assert_int_equal(length, 3);
	for (uint64_t wait = 100; wait <= 1600; wait *= 2) {
		while (!window_next(&window, &header, data, &length, now))
			now++;
		assert_int_equal(now - last, wait);
		assert_memory_equal(data, "abc", 3);
		last = now;
	}
	assert_int_equal(window_stuck(&window, now), now);
	header = (struct mull_datagram){ .taken = 2, .room = 100 };
	window_receive(&window, &header, NULL, now);
	assert_int_equal(window_stuck(&window, now), 0);
	assert_int_equal(window.held, 1);
}

static void news_of_what_was_never_sent_is_none(void **state)
{
	(void)state;
	window_put(&window, "abc", 3, 0);
	header = (struct mull_datagram){ .taken = 4, .room = 0 };
	window_receive(&window, &header, NULL, 0);
	header.taken = UINT32_MAX;
	window_receive(&window, &header, NULL, 0);
	assert_int_equal(window.held, 3);
	assert_int_equal(window.peer_room, WINDOW_SIZE);
}

static void who_has_no_room_is_asked(void **state)
{
	(void)state;
	header = (struct mull_datagram){ .room = 0 };
	window_receive(&window, &header, NULL, 0);
	window_put(&window, "abc", 3, 0);
	assert_false(window_next(&window, &header, data, &length, 99));
	assert_true(window_next(&window, &header, data, &length, 100));
	assert_int_equal(length, 1);
	assert_false(window_next(&window, &header, data, &length, 100));
}

/* ---- seals ---------------------------------------------------------------- */

/* RFC 4231, "Test Case 1" and "Test Case 2", whose keys end with zeros here. */
static void the_mac_is_that_of_the_rfc(void **state)
{
	static const uint8_t hi_there[] = { 0xb0, 0x34, 0x4c, 0x61, 0xd8, 0xdb,
					    0x38, 0x53, 0x5c, 0xa8, 0xaf, 0xce,
					    0xaf, 0x0b, 0xf1, 0x2b, 0x88, 0x1d,
					    0xc2, 0x00, 0xc9, 0x83, 0x3d, 0xa7,
					    0x26, 0xe9, 0x37, 0x6c, 0x2e, 0x32,
					    0xcf, 0xf7 };
	static const uint8_t jefe[] = { 0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60,
					0x75, 0x4e, 0x6a, 0x04, 0x24, 0x26,
					0x08, 0x95, 0x75, 0xc7, 0x5a, 0x00,
					0x3f, 0x08, 0x9d, 0x27, 0x39, 0x83,
					0x9d, 0xec, 0x58, 0xb9, 0x64, 0xec,
					0x38, 0x43 };
	uint8_t bytes[MULL_KEY_SIZE] = { 0 }, mac[32];
	struct datagram_key key;

	(void)state;
	memset(bytes, 0x0b, 20);
	datagram_set_key(&key, bytes);
	datagram_mac(&key, "Hi There", 8, mac);
	assert_memory_equal(mac, hi_there, sizeof mac);
	memset(bytes, 0, sizeof bytes);
	memcpy(bytes, "Jefe", 4);
	datagram_set_key(&key, bytes);
	datagram_mac(&key, "what do ya want for nothing?", 28, mac);
	assert_memory_equal(mac, jefe, sizeof mac);
}

static void a_datagram_opens_only_whole_and_with_its_key(void **state)
{
	uint8_t bytes[MULL_KEY_SIZE] = { 1, 2, 3 }, wire[MULL_DATAGRAM_MAX + 1];
	struct mull_datagram made = { .type = MULL_DATAGRAM_WRITE,
				      .counter = 7 };
	struct datagram_key key;
	size_t size;

	(void)state;
	datagram_set_key(&key, bytes);
	size = datagram_seal(&key, &made, "hello", 5, wire);
	assert_int_equal(size, 48 + 5 + 16);
	assert_memory_equal(datagram_open(&key, wire, size, &header), "hello",
			    5);
	assert_int_equal(header.counter, 7);
	for (size_t i = 0; i < size; i++)
		assert_null(datagram_open(&key, wire, i, &header));
	assert_null(datagram_open(&key, wire, size + 1, &header));
	assert_null(datagram_open(&key, wire, sizeof wire, &header));
	for (size_t bit = 0; bit < 8 * size; bit++) {
		wire[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_null(datagram_open(&key, wire, size, &header));
		wire[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	bytes[31] = 1;
	datagram_set_key(&key, bytes);
	assert_null(datagram_open(&key, wire, size, &header));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, fresh)
	const struct CMUnitTest tests[] = {
		TEST(nothing_is_sent_twice_without_loss),
		TEST(all_comes_in_order_whatever_is_lost),
		TEST(a_slow_reader_is_waited_for),
		TEST(only_what_follows_is_taken),
		TEST(a_full_window_takes_no_more),
		TEST(what_is_not_taken_comes_again_ever_later),
		TEST(news_of_what_was_never_sent_is_none),
		TEST(who_has_no_room_is_asked),
		TEST(the_mac_is_that_of_the_rfc),
		TEST(a_datagram_opens_only_whole_and_with_its_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
