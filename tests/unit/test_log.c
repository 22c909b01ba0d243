/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

/* Its inside, so that a test can hold the ring's lock. */
#include "kernel/manage/log.c"
#include "kernel/manage/log_record.c"
#include <arch/fake/fake.h>
#include <cmocka.h>
#include <mullion/manage.h>
#include <stdio.h>
#include <string.h>

static char screen[4096], serial[4096];
static size_t screen_length, serial_length;
static jmp_buf halted;
static uint32_t stops;

void framebuffer_write(const char *text, size_t length)
{
	assert_true(length < sizeof screen - screen_length);
	memcpy(screen + screen_length, text, length);
	screen_length += length;
	screen[screen_length] = '\0';
}

void manage_emergency(const char *text, size_t length)
{
	assert_true(length < sizeof serial - serial_length);
	memcpy(serial + serial_length, text, length);
	serial_length += length;
	serial[serial_length] = '\0';
}

void arch_stop_others(void)
{
	stops++;
}

void arch_halt(void)
{
	longjmp(halted, 1);
}

size_t arch_backtrace(uint64_t *addresses, size_t count)
{
	assert_true(count >= 2);
	addresses[0] = 0xffffffff80001234;
	addresses[1] = 0xffffffff8000abcd;
	return 2;
}

static struct vm machines[2] = { { .index = 0, .description.name = "web" },
				 { .index = 1, .description.name = "db" } };
static struct vcpu web = { .vm = &machines[0], .index = 1 };
static struct vcpu db = { .vm = &machines[1] };

static char level; /* of the line that next() gave */

static const char *next(void)
{
	static char line[LOG_LINE_MAX + 1];
	size_t length = log_take(LOG_SERIAL, line, LOG_LINE_MAX);

	line[length] = '\0';
	if (!length)
		return line;
	assert_int_equal(line[0], '<');
	assert_int_equal(line[2], '>');
	level = line[1];
	return line + LOG_LEVEL;
}

static int fresh(void **state)
{
	(void)state;
	memset(&ring, 0, sizeof ring);
	memset(buckets, 0, sizeof buckets);
	memset(screen, 0, sizeof screen);
	machines[0].complaints = 0;
	memset(serial, 0, sizeof serial);
	screen_length = serial_length = 0;
	on_screen = false;
	log_on_line(NULL);
	fake_time = 1000;
	log_start();
	return 0;
}

static void a_line_has_its_time(void **state)
{
	(void)state;
	log_write("the answer is %d", 42);
	fake_time += 12345678901;
	log_write("later");
	assert_string_equal(next(), "[    0.000000] the answer is 42\n");
	assert_string_equal(next(), "[   12.345678] later\n");
	assert_string_equal(next(), "");
}

static void a_line_has_its_level(void **state)
{
	(void)state;
	log_write("plain");
	next();
	assert_int_equal(level, '6');
	log_write(LOG_WARNING "odd");
	assert_string_equal(next() + 15, "odd\n");
	assert_int_equal(level, '4');
	log_guest(&web, "odd");
	next();
	assert_int_equal(level, '4');
	error_trace(ERR_BUSY, "load.c", 7);
	next();
	assert_int_equal(level, '3');
}

/* Reading by position disturbs no reader. */
static void it_is_read_from_any_position(void **state)
{
	uint64_t at = 0;
	char text[100];

	(void)state;
	log_write("one");
	log_write("two");
	assert_int_equal(log_read(&at, text, sizeof text), 44);
	assert_memory_equal(text,
			    "<6>[    0.000000] one\n<6>[    0.000000] two", 43);
	at = 22;
	assert_int_equal(log_read(&at, text, 3), 3);
	assert_memory_equal(text, "<6>", 3);
	at = 1000;
	assert_int_equal(log_read(&at, text, sizeof text), 0);
	assert_int_equal(at, 44);
	for (int i = 0; i < 2000; i++)
		log_write("more");
	at = 22;
	assert_int_equal(log_read(&at, text, sizeof text), sizeof text);
	assert_in_range(at, ring.head - RING_SIZE, ring.head - RING_SIZE + 30);
	assert_memory_equal(text, "<6>", 3); /* it begins with a line */
}

static void escape_codes_are_harmless(void **state)
{
	(void)state;
	log_write("a\033[2Jb\nc\x80");
	assert_string_equal(next(), "[    0.000000] a?[2Jb?c?\n");
}

static void a_long_line_is_cut_off(void **state)
{
	const char *line;

	(void)state;
	log_write("%200s%200s", "left", "right");
	line = next();
	assert_int_equal(strlen(line), LOG_LINE_MAX - LOG_LEVEL);
	assert_int_equal(line[strlen(line) - 1], '\n');
	assert_string_equal(next(), "");
}

static void each_reader_gets_every_line(void **state)
{
	char line[LOG_LINE_MAX];

	(void)state;
	log_write("one");
	next();
	log_write("two");
	assert_true(log_waits(LOG_SCREEN));
	assert_int_equal(log_take(LOG_SCREEN, line, sizeof line), 22);
	assert_memory_equal(line + 18, "one\n", 4);
	assert_int_equal(log_take(LOG_SCREEN, line, sizeof line), 22);
	assert_memory_equal(line + 18, "two\n", 4);
	assert_false(log_waits(LOG_SCREEN));
	assert_string_equal(next() + 15, "two\n");
}

static void a_slow_reader_is_told_what_it_lost(void **state)
{
	uint64_t lost, seen = 0;
	unsigned int number, last = 0;
	const char *line;

	(void)state;
	for (unsigned int i = 0; i < 5000; i++)
		log_write("number %u", i);
	assert_int_equal(sscanf(next(), "log: %lu bytes were lost", &lost), 1);
	for (line = next(); *line; line = next()) {
		assert_int_equal(
			sscanf(line, "[    0.000000] number %u\n", &number), 1);
		assert_true(!seen || number == last + 1);
		last = number;
		seen += LOG_LEVEL + strlen(line);
	}
	assert_int_equal(last, 4999);
	assert_in_range(seen, RING_SIZE - LOG_LINE_MAX, RING_SIZE);
	assert_int_equal(lost + seen, ring.head);
}

static void a_guest_cannot_flood_the_log(void **state)
{
	char expected[64];

	(void)state;
	fake_time += 5000000000;
	for (int i = 0; i < 100; i++)
		log_guest(&web, "odd %d", i);
	for (int i = 0; i < 20; i++) {
		sprintf(expected, "web/1: odd %d\n", i);
		assert_string_equal(next() + 15, expected);
	}
	assert_string_equal(next(), "");

	log_guest(&db, "also odd"); /* it has its own measure */
	assert_string_equal(next() + 15, "db/0: also odd\n");

	fake_time += 2000000000;
	for (int i = 0; i < 10; i++)
		log_guest(&web, "again");
	assert_string_equal(next() + 15, "web: 80 lines dropped\n");
	assert_string_equal(next() + 15, "web/1: again\n");
	assert_string_equal(next() + 15, "web/1: again\n");
	assert_string_equal(next(), "");
	assert_int_equal(machines[0].complaints, 110);
}

static void an_error_is_logged_where_it_began(void **state)
{
	(void)state;
	assert_int_equal(error_trace(ERR_BAD_HASH, "load.c", 7), ERR_BAD_HASH);
	assert_int_equal(error_trace(ERR_NONE, "load.c", 8), ERR_NONE);
	assert_string_equal(next() + 15,
			    "load.c:7: the SHA-256 does not match\n");
	assert_string_equal(next(), "");
	for (int i = 0; i < 100; i++)
		error_trace(ERR_BUSY, "load.c", i);
	for (int i = 0; i < 19; i++)
		assert_non_null(strstr(next(), "in use"));
	assert_string_equal(next(), "");
}

static void a_dead_holder_of_the_lock_stops_nobody(void **state)
{
	char line[LOG_LINE_MAX];

	(void)state;
	log_write("before");
	atomic_flag_test_and_set(&ring.lock.held);
	log_write("given up");
	log_guest(&web, "given up");
	assert_int_equal(log_take(LOG_SERIAL, line, sizeof line), 0);
	lock_give(&ring.lock);
	assert_string_equal(next() + 15, "before\n");
	assert_string_equal(next(), "");
}

static uint32_t lines_written;

static void on_written(void)
{
	lines_written++;
}

static void the_screen_begins_with_what_was_before_it(void **state)
{
	(void)state;
	log_write("one");
	assert_string_equal(screen, "");
	log_to_screen();
	assert_string_equal(screen, "[    0.000000] one\n");
	log_write("two");
	assert_string_equal(screen, "[    0.000000] one\n[    0.000000] two\n");

	log_on_line(on_written); /* from now on drawn when there is time */
	log_write("three");
	log_write("four");
	assert_int_equal(lines_written, 2);
	assert_null(strstr(screen, "three"));
	assert_true(log_draw(1));
	assert_false(log_draw(1));
	assert_non_null(strstr(screen, "three\n[    0.000000] four\n"));
}

/* One test for all, since a CPU panics once only. */
/* ---- what a warm reset leaves -------------------------------------------- */

static struct mull_boot_info boot = {
	.memory_count = 1,
	.memory = { { MIB(1), MIB(63), MULL_MEMORY_USABLE, 0 } },
};

/* The machine starts again; its memory stays. */
static const char *left_after_reset(void)
{
	static char text[LOG_RING_SIZE + 1];
	uint64_t position = 0;
	size_t length = 0, got;

	if (previous)
		page_free(previous, LOG_RING_SIZE / PAGE_SIZE);
	previous = NULL;
	previous_length = recorded = 0;
	record = NULL;
	memset(&ring, 0, sizeof ring);
	log_record_start(&boot);
	do {
		got = log_read_previous(&position, text + length, 1000);
		length += got;
		position += got;
		assert_true(length < sizeof text);
	} while (got);
	text[length] = '\0';
	return text;
}

static void start_memory(void)
{
	static uint8_t pages[64 * PAGE_SIZE]
		__attribute__((aligned(PAGE_SIZE)));

	fake_memory_clear();
	page_start(pages, 1, 0);
}

static void a_panic_says_all_once(void **state)
{
	static const char story[] =
		"[    0.000000] the last line\n"
		"\nPANIC on CPU 2, for web/1: assertion failed: x > 7\n"
		"STACK ffffffff80001234 ffffffff8000abcd\n";

	(void)state;
	start_memory();
	left_after_reset();
	log_write("the last line");
	fake_cpu = 2;
	panic_running(arch_cpu_index(), &web);
	if (!setjmp(halted))
		panic("assertion failed: x > %d", 7);
	assert_string_equal(serial, story);
	assert_string_equal(screen, strchr(story, '\n') + 1);
	assert_int_equal(stops, 1);

	fake_cpu = 1;
	if (!setjmp(halted))
		panic("another CPU");
	assert_string_equal(serial, story);

	fake_cpu = 2;
	if (!setjmp(halted))
		panic("itself");
	if (!setjmp(halted))
		panic("itself, and again");
	assert_string_equal(serial + strlen(story), "\npanic in a panic\n");
	assert_int_equal(stops, 1);
	fake_cpu = 0;
	assert_string_equal(
		left_after_reset(),
		"<6>[    0.000000] the last line\n<3>\n"
		"<3>PANIC on CPU 2, for web/1: assertion failed: x > 7\n"
		"<3>STACK ffffffff80001234 ffffffff8000abcd\n");
}

static void the_next_run_finds_the_log(void **state)
{
	char line[64];

	(void)state;
	start_memory();
	assert_string_equal(left_after_reset(), "");
	log_write("one");
	log_write("two");
	assert_string_equal(left_after_reset(), "<6>[    0.000000] one\n"
						"<6>[    0.000000] two\n");
	/* More than the ring has room for: whole lines are left. */
	for (int i = 0; i < 2000; i++)
		log_write("line %d", i);
	sprintf(line, "] line %d\n", 1999);
	assert_non_null(strstr(left_after_reset(), line));
	for (int i = 0; i < 2000; i++)
		log_write("line %d", i);
	assert_memory_equal(left_after_reset(), "<6>[", 4);
	assert_in_range(previous_length, LOG_RING_SIZE - 100, LOG_RING_SIZE);
}

static void what_the_firmware_wrote_over_is_not_believed(void **state)
{
	uint8_t *at = arch_direct(hpa(RECORD_ADDRESS));
	size_t header = offsetof(struct log_record, bytes);

	(void)state;
	for (size_t i = 0; i < header; i++) {
		start_memory();
		left_after_reset();
		log_write("one");
		at[i] ^= 0x10;
		assert_string_equal(left_after_reset(), "");
	}
	start_memory();
	left_after_reset();
	log_write("one");
	at[header + 19] = '\033';
	assert_string_equal(left_after_reset(), "<6>[    0.000000] o?e\n");
	boot.memory[0].kind = MULL_MEMORY_FIRMWARE;
	log_write("two");
	assert_string_equal(left_after_reset(), "");
	assert_null(record);
	boot.memory[0].kind = MULL_MEMORY_USABLE;
}

#define TEST(name) cmocka_unit_test_setup(name, fresh)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_line_has_its_time),
		TEST(a_line_has_its_level),
		TEST(it_is_read_from_any_position),
		TEST(escape_codes_are_harmless),
		TEST(a_long_line_is_cut_off),
		TEST(each_reader_gets_every_line),
		TEST(a_slow_reader_is_told_what_it_lost),
		TEST(a_guest_cannot_flood_the_log),
		TEST(an_error_is_logged_where_it_began),
		TEST(a_dead_holder_of_the_lock_stops_nobody),
		TEST(the_screen_begins_with_what_was_before_it),
		TEST(a_panic_says_all_once),
		TEST(the_next_run_finds_the_log),
		TEST(what_the_firmware_wrote_over_is_not_believed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
