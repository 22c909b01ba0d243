/* SPDX-License-Identifier: MIT */
/* libmullctl reads a VM's memory; the line below it is a fake. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <mullion/bits.h>
#include <parts.h>
#include <stdlib.h>
#include <string.h>

#include "without_words.h"

#define SIZE MIB(40)

static uint8_t *memory;
static uint8_t *copy;
static uint64_t told; /* bytes that pieces were about */
static uint32_t asked;
static int stop_after; /* pieces; below 0: never */

/* ---- a line that answers the last question first ------------------------- */

static struct {
	uint64_t address;
	uint32_t wanted;
	mull_done *done;
	void *context;
} waiting[MULL_UNANSWERED_MAX];
static size_t waiting_count;
/* What the next answers are in place of what they should be. */
static int error_next;
static uint64_t value_next;
static size_t length_next;

int mull_post(struct mull *mull, enum mull_frame_type type, uint16_t stream,
	      const void *payload, size_t length, mull_done *done,
	      void *context)
{
	struct mull_request request;

	(void)mull;
	assert_int_equal(type, MULL_FRAME_REQUEST);
	assert_int_equal(stream, MULL_STREAM_HYPERVISOR);
	assert_int_equal(length, sizeof request + 4);
	assert_true(waiting_count < 3); /* on a slow line more come too late */
	memcpy(&request, payload, sizeof request);
	assert_int_equal(request.command, MULL_COMMAND_MEMORY);
	assert_int_equal(request.vm, 5);
	waiting[waiting_count].address = request.argument;
	memcpy(&waiting[waiting_count].wanted,
	       (const uint8_t *)payload + sizeof request, 4);
	/* Where its zeros end is not known: nothing else can be asked. */
	if (waiting[waiting_count].wanted > MULL_REPLY_DATA_MAX)
		assert_int_equal(waiting_count, 0);
	waiting[waiting_count].done = done;
	waiting[waiting_count++].context = context;
	asked++;
	return MULL_OK;
}

/* As request_memory() does. */
static void answer_memory(uint64_t address, uint32_t wanted,
			  struct mull_answer *answer)
{
	uint32_t most = wanted < MIB(16) ? wanted : (uint32_t)MIB(16);

	*answer = (struct mull_answer){ .value = 0 };
	while (!(address % 8) && answer->value + 8 <= most &&
	       !memcmp(memory + address + answer->value, "\0\0\0\0\0\0\0", 8))
		answer->value += 8;
	if (answer->value >= MULL_REPLY_DATA_MAX)
		return;
	answer->value = 0;
	answer->length = wanted < MULL_REPLY_DATA_MAX ? wanted :
							MULL_REPLY_DATA_MAX;
	memcpy(answer->data, memory + address, answer->length);
}

int mull_pump(struct mull *mull, int milliseconds, int other_fd)
{
	struct mull_answer answer;

	(void)mull;
	(void)milliseconds;
	(void)other_fd;
	if (!waiting_count)
		return MULL_OK;
	waiting_count--;
	answer_memory(waiting[waiting_count].address,
		      waiting[waiting_count].wanted, &answer);
	if (value_next || length_next) {
		answer.value = value_next;
		answer.length = length_next;
		value_next = length_next = 0;
	}
	waiting[waiting_count].done(waiting[waiting_count].context, error_next,
				    error_next ? NULL : &answer);
	error_next = 0;
	return MULL_OK;
}

/* ---- tests --------------------------------------------------------------- */

static bool on_piece(void *context, uint64_t address, const void *bytes,
		     uint64_t length)
{
	assert_ptr_equal(context, &told);
	assert_true(address + length <= SIZE);
	if (bytes)
		memcpy(copy + address, bytes, length);
	else
		memset(copy + address, 0, length);
	told += length;
	return stop_after < 0 || stop_after--;
}

static int read_all(uint64_t address, uint64_t length)
{
	asked = 0;
	told = 0;
	memset(copy, 0x55, SIZE);
	return mull_memory(NULL, 5, address, length, on_piece, &told);
}

static int fill(void **state)
{
	(void)state;
	memset(memory, 0, SIZE);
	for (size_t i = 0; i < 100000; i++)
		memory[i] = (uint8_t)(i * 7 + i / 256);
	memory[MIB(3) + 5] = 1;
	memory[MIB(30) + 1001] = 2;
	memory[SIZE - 1] = 3;
	stop_after = -1;
	return 0;
}

static void each_byte_comes_once(void **state)
{
	(void)state;
	assert_int_equal(read_all(0, SIZE), MULL_OK);
	assert_int_equal(told, SIZE);
	assert_memory_equal(copy, memory, SIZE);
	/* 100 for what is not zero, 20 for the zeros, and some at their ends. */
	assert_in_range(asked, 100, 200);
}

static void any_piece_may_be_read(void **state)
{
	static const uint64_t at[] = {
		0, 1, 4, 99993, MIB(3) - 1, SIZE - 3000
	};
	static const uint64_t lengths[] = { 1, 7, 1008, 1009, 3000 };
	uint8_t bytes[3000];

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(at); i++)
		for (size_t j = 0; j < ARRAY_COUNT(lengths); j++) {
			memset(bytes, 0x55, sizeof bytes);
			assert_int_equal(mull_read_memory(NULL, 5, at[i], bytes,
							  lengths[j]),
					 MULL_OK);
			assert_memory_equal(bytes, memory + at[i], lengths[j]);
		}
	assert_int_equal(read_all(0, 0), MULL_OK);
	assert_int_equal(asked, 0);
}

static void it_ends_at_an_error_or_when_told(void **state)
{
	(void)state;
	error_next = ERR_WRONG_STATE;
	assert_int_equal(read_all(0, SIZE), ERR_WRONG_STATE);
	assert_int_equal(waiting_count, 0);
	assert_int_equal(told, 0);
	stop_after = 3;
	assert_int_equal(read_all(0, SIZE), MULL_STOPPED);
	assert_int_equal(waiting_count, 0);
	assert_int_equal(told, 4 * MULL_REPLY_DATA_MAX);
}

static void hostile_answers_are_refused(void **state)
{
	(void)state;
	value_next = 1016; /* more than was asked for */
	assert_int_equal(read_all(0, SIZE), MULL_BAD_ANSWER);
	value_next = 8; /* it would never end */
	assert_int_equal(read_all(0, SIZE), MULL_BAD_ANSWER);
	length_next = 1007;
	assert_int_equal(read_all(0, SIZE), MULL_BAD_ANSWER);
	length_next = 8;
	assert_int_equal(read_all(0, 7), MULL_BAD_ANSWER);
	assert_int_equal(waiting_count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(each_byte_comes_once, fill),
		cmocka_unit_test_setup(any_piece_may_be_read, fill),
		cmocka_unit_test_setup(it_ends_at_an_error_or_when_told, fill),
		cmocka_unit_test_setup(hostile_answers_are_refused, fill),
	};
	int failed;

	memory = malloc(SIZE);
	copy = malloc(SIZE);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	free(memory);
	free(copy);
	return failed;
}
