/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <mullion/pic.h>
#include <stdlib.h>

static struct pic pic;

static void write(uint16_t port, uint8_t value)
{
	pic_write(&pic, port, value);
}

static uint8_t read(uint16_t port)
{
	return pic_read(&pic, port);
}

/* As a PC's firmware: vectors 8 and 0x70, or as said, everything open. */
static void init(uint8_t first, uint8_t second, uint8_t word_4)
{
	write(0x20, 0x11);
	write(0x21, first);
	write(0x21, 4);
	write(0x21, word_4);
	write(0xa0, 0x11);
	write(0xa1, second);
	write(0xa1, 2);
	write(0xa1, word_4);
}

static int fresh(void **state)
{
	(void)state;
	pic_reset(&pic);
	init(0x20, 0x28, 1);
	return 0;
}

static void expect(int vector)
{
	assert_int_equal(pic_output(&pic), vector != PIC_NONE);
	assert_int_equal(pic_acknowledge(&pic), vector);
}

static void at_power_on_nothing_comes(void **state)
{
	(void)state;
	pic_reset(&pic);
	for (uint32_t line = 0; line < PIC_LINES; line++)
		pic_set_line(&pic, line, true);
	expect(PIC_NONE);
	assert_int_equal(read(0x21), 0xff);
}

static void the_lower_number_goes_first(void **state)
{
	(void)state;
	pic_set_line(&pic, 5, true);
	pic_set_line(&pic, 3, true);
	assert_int_equal(read(0x20), 0x28);
	expect(0x23);
	expect(PIC_NONE); /* 5 waits for the end of 3 */
	write(0x20, 0x20);
	expect(0x25);
	pic_set_line(&pic, 1, true); /* more important */
	expect(0x21);
	write(0x20, 0x0b);
	assert_int_equal(read(0x20), 0x22);
	write(0x20, 0x20);
	write(0x20, 0x20);
	assert_int_equal(read(0x20), 0);
}

static void an_edge_counts_once(void **state)
{
	(void)state;
	pic_set_line(&pic, 4, true);
	expect(0x24);
	write(0x20, 0x64); /* specific */
	expect(PIC_NONE);
	pic_set_line(&pic, 4, true);
	expect(PIC_NONE);
	pic_set_line(&pic, 4, false);
	pic_set_line(&pic, 4, true);
	pic_set_line(&pic, 4, false); /* it has been seen */
	expect(0x24);
}

static void a_level_stays_until_it_falls(void **state)
{
	(void)state;
	write(0x4d0, 0xff);
	write(0x4d1, 0xff);
	assert_int_equal(read(0x4d0), 0xf8);
	assert_int_equal(read(0x4d1), 0xde);
	pic_set_line(&pic, 9, true);
	for (int i = 0; i < 3; i++) {
		expect(0x29);
		expect(PIC_NONE);
		write(0xa0, 0x20);
		write(0x20, 0x20);
	}
	pic_set_line(&pic, 9, false);
	expect(PIC_NONE);
}

static void the_second_chip_comes_through_the_first(void **state)
{
	(void)state;
	pic_set_line(&pic, 8, true);
	pic_set_line(&pic, 3, true);
	expect(0x28); /* input 2 is before 3 */
	assert_int_equal(read(0xa1), 0);
	write(0xa0, 0x20);
	expect(PIC_NONE);
	write(0x20, 0x20);
	expect(0x23);
	write(0x20, 0x20);
	write(0x21, 0x04);
	pic_set_line(&pic, 15, true);
	expect(PIC_NONE);
	write(0x21, 0);
	expect(0x2f);
}

static void ends_by_themselves(void **state)
{
	(void)state;
	init(0x20, 0x28, 3);
	for (uint32_t line = 12; line < 16; line++)
		pic_set_line(&pic, line, true);
	for (int line = 12; line < 16; line++)
		expect(0x20 + line);
	expect(PIC_NONE);
}

static void priorities_rotate(void **state)
{
	(void)state;
	write(0x20, 0xc3); /* 3 is the lowest */
	pic_set_line(&pic, 3, true);
	pic_set_line(&pic, 4, true);
	expect(0x24);
	write(0x20, 0xa0); /* and now 4 */
	pic_set_line(&pic, 5, true);
	expect(0x25);
	write(0x20, 0x20);
	expect(0x23);
}

static void masks_and_special_masks(void **state)
{
	(void)state;
	pic_set_line(&pic, 3, true);
	expect(0x23);
	write(0x21, 0x08);
	pic_set_line(&pic, 5, true);
	expect(PIC_NONE);
	write(0x20, 0x68);
	expect(0x25);
	assert_int_equal(read(0x21), 0x08);
}

static void polls_acknowledge(void **state)
{
	(void)state;
	pic_set_line(&pic, 6, true);
	write(0x20, 0x0c);
	assert_int_equal(read(0x20), 0x86);
	assert_int_equal(pic_output(&pic), false);
	write(0x20, 0x0c);
	assert_int_equal(read(0x20), 0);
	assert_int_equal(read(0x20), 0); /* requests again */
}

/* Whatever is written: a vector is one of eight behind what was set, and only
 * when the output said so. */
static void any_writes_leave_it_sane(void **state)
{
	static const uint16_t ports[] = {
		0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1
	};

	(void)state;
	srand(1);
	for (int i = 0; i < 200000; i++) {
		bool high;
		int vector;

		write(ports[rand() % 6], (uint8_t)rand());
		read(ports[rand() % 6]);
		pic_set_line(&pic, (uint32_t)rand() % PIC_LINES, rand() % 2);
		high = pic_output(&pic);
		vector = pic_acknowledge(&pic);
		assert_int_equal(high, vector != PIC_NONE);
		assert_in_range(vector + 1, 0, 256);
	}
}

#define TEST(name) cmocka_unit_test_setup(name, fresh)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(at_power_on_nothing_comes),
		TEST(the_lower_number_goes_first),
		TEST(an_edge_counts_once),
		TEST(a_level_stays_until_it_falls),
		TEST(the_second_chip_comes_through_the_first),
		TEST(ends_by_themselves),
		TEST(priorities_rotate),
		TEST(masks_and_special_masks),
		TEST(polls_acknowledge),
		TEST(any_writes_leave_it_sane),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
