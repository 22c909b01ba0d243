/* SPDX-License-Identifier: MIT */
/* libmullctl's images against the hypervisor's own handlers; the line between
 * is a fake that loses frames and answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/unit/image_store.h"

#include <cmocka.h>
#include <openssl/sha.h>
#include <parts.h>

#include "without_words.h"

#define SIZE (FRAME_SIZE + 5 * MULL_BLOCK_SIZE + 77)
#define ATTEMPTS 5

static uint8_t image[SIZE], wire[SIZE + SIZE / 64], back[SIZE];
static struct mull_upload upload;
static uint64_t begun_at, told, stop_at;
static uint32_t sent; /* pieces */

/* ---- the line ------------------------------------------------------------ */

static struct on_line {
	enum mull_frame_type type;
	uint16_t stream;
	uint8_t payload[MULL_FRAME_PAYLOAD_MAX];
	size_t length;
	mull_done *done;
	void *context;
	int attempts;
} line[MULL_UNANSWERED_MAX];
static size_t line_count, most_on_line;
static int loss; /* per cent, of frames and of answers */
static uint64_t *wrong_value;

int mull_post(struct mull *mull, enum mull_frame_type type, uint16_t stream,
	      const void *payload, size_t length, mull_done *done,
	      void *context)
{
	struct on_line *frame = &line[line_count];

	(void)mull;
	if (line_count == MULL_UNANSWERED_MAX)
		return MULL_FULL;
	line_count++;
	if (line_count > most_on_line)
		most_on_line = line_count;
	*frame = (struct on_line){ .type = type,
				   .stream = stream,
				   .length = length,
				   .done = done,
				   .context = context };
	memcpy(frame->payload, payload, length);
	sent += type == MULL_FRAME_UPLOAD_DATA;
	return MULL_OK;
}

static void obey(const struct on_line *frame, struct mull_answer *to)
{
	for (int i = rand() % 200; i; i--)
		upload_work();
	if (frame->type == MULL_FRAME_UPLOAD_DATA)
		request_take_data(++sequence, frame->stream, frame->payload,
				  frame->length, &answer);
	else
		request_obey(LINE_SERIAL, ++sequence, frame->payload,
			     frame->length, &answer);
	for (int i = 0; answer.pending && i < WORK_MAX; i++) {
		upload_work();
		request_continue(&answer);
	}
	to->value = wrong_value ? *wrong_value : answer.reply.value;
	to->length = answer.length;
	memcpy(to->data, answer.data, answer.length);
}

/* What was lost comes again behind what is under way. */
int mull_pump(struct mull *mull, int milliseconds, int other_fd)
{
	struct on_line frame = line[0];
	struct mull_answer to;

	(void)mull;
	(void)milliseconds;
	(void)other_fd;
	assert_true(line_count > 0);
	memmove(line, line + 1, --line_count * sizeof *line);
	if (rand() % 100 >= loss) {
		obey(&frame, &to);
		if (rand() % 100 >= loss) {
			frame.done(frame.context, (int)answer.reply.error, &to);
			return MULL_OK;
		}
	}
	if (++frame.attempts == ATTEMPTS)
		frame.done(frame.context, MULL_NO_ANSWER, NULL);
	else
		line[line_count++] = frame;
	return MULL_OK;
}

/* ---- tests --------------------------------------------------------------- */

static bool on_progress(void *context, uint64_t done)
{
	assert_ptr_equal(context, image);
	if (begun_at == UINT64_MAX)
		begun_at = done;
	assert_true(done >= told);
	told = done;
	return done < stop_at;
}

static int send_image(void)
{
	uint32_t number = 0;
	int error;

	begun_at = stop_at < UINT64_MAX ? begun_at : UINT64_MAX;
	told = 0;
	error = mull_upload_image(NULL, &upload, wire, on_progress, image,
				  &number);
	assert_int_equal(line_count, 0);
	if (!error)
		assert_int_equal(number, 1);
	return error;
}

static bool on_piece(void *context, uint64_t at, const void *bytes,
		     uint64_t length)
{
	assert_ptr_equal(context, image);
	assert_true(length <= SIZE - at);
	memcpy(back + at, bytes, length);
	return at < stop_at;
}

static void check_image(void)
{
	struct mull_image_status found;

	memset(back, 0, SIZE);
	assert_int_equal(mull_find_image(NULL, "image", &found), MULL_OK);
	assert_int_equal(found.number, 1);
	assert_int_equal(found.flags, MULL_IMAGE_UPLOADED);
	assert_int_equal(mull_read_image(NULL, 1, on_piece, image), MULL_OK);
	assert_memory_equal(back, image, SIZE);
}

static int start(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < SIZE; i++)
		image[i] = (uint8_t)(i % 3 ? rand() : 7);
	upload = (struct mull_upload){ .name = "image",
				       .size = SIZE,
				       .kind = MULL_IMAGE_INITRD,
				       .compression = MULL_COMPRESSION_LZ4 };
	SHA256(image, SIZE, upload.sha256);
	upload.wire_size = compress_image(image, SIZE, wire);
	loss = 0;
	sent = 0;
	most_on_line = 0;
	stop_at = UINT64_MAX;
	wrong_value = NULL;
	return 0;
}

static int clean(void **unused)
{
	(void)unused;
	ask(MULL_COMMAND_IMAGE_DELETE, 0, 1);
	assert_int_equal(frames_free(), POOL_FRAMES);
	return 0;
}

static void each_piece_is_sent_once(void **unused)
{
	(void)unused;
	assert_int_equal(send_image(), MULL_OK);
	assert_int_equal(begun_at, 0);
	assert_int_equal(told, upload.wire_size);
	assert_int_equal(sent, (upload.wire_size + 1015) / 1016);
	/* With their frames they fit the window of 4096. */
	assert_int_equal(most_on_line, 3);
	check_image();
	assert_int_equal(send_image(), MULL_OK); /* it is there already */
	assert_int_equal(begun_at, upload.wire_size);
}

static void what_is_lost_is_sent_again(void **unused)
{
	(void)unused;
	for (loss = 1; loss <= 30; loss += 29) {
		int error = MULL_NO_ANSWER;

		for (int i = 0; error == MULL_NO_ANSWER && i < 100; i++)
			error = send_image();
		assert_int_equal(error, MULL_OK);
		if (loss == 1)
			assert_true(sent <
				    upload.wire_size / 1016 * 1035 / 1000);
	}
	loss = 0;
	check_image();
}

static void it_goes_on_where_it_stopped(void **unused)
{
	(void)unused;
	stop_at = 20000;
	begun_at = UINT64_MAX;
	assert_int_equal(send_image(), MULL_STOPPED);
	stop_at = UINT64_MAX;
	assert_int_equal(send_image(), MULL_OK);
	assert_in_range(begun_at, 20000, 20000 + 4 * 1016);
	check_image();
	stop_at = 5000;
	assert_int_equal(mull_read_image(NULL, 1, on_piece, image),
			 MULL_STOPPED);
}

static void what_answers_nothing_is_given_up(void **unused)
{
	(void)unused;
	loss = 100;
	assert_int_equal(send_image(), MULL_NO_ANSWER);
}

static void errors_are_handed_on(void **unused)
{
	uint64_t wrong = upload.wire_size + 1;
	struct mull_image_status found;
	uint32_t number;

	(void)unused;
	upload.sha256[0] ^= 1;
	assert_int_equal(send_image(), ERR_BAD_HASH);
	wrong_value = &wrong;
	assert_int_equal(send_image(), MULL_BAD_ANSWER);
	wrong = 0; /* nothing is ever taken */
	assert_int_equal(send_image(), MULL_BAD_ANSWER);
	assert_int_equal(mull_read_image(NULL, 0, on_piece, image),
			 MULL_BAD_ANSWER);
	wrong = 3; /* with 7 bytes of data */
	assert_int_equal(mull_read_image(NULL, 0, on_piece, image),
			 MULL_BAD_ANSWER);
	wrong_value = NULL;
	strcpy(upload.name, "first");
	assert_int_equal(mull_upload_image(NULL, &upload, wire, on_progress,
					   image, &number),
			 ERR_EXISTS);
	assert_int_equal(mull_find_image(NULL, "0", &found), MULL_OK);
	assert_string_equal(found.name, "first");
	assert_int_equal(mull_find_image(NULL, "nothing", &found),
			 ERR_NOT_FOUND);
	assert_int_equal(mull_delete_image(NULL, 0), ERR_BUSY);
}

static int start_machine(void **unused)
{
	(void)unused;
	machine_start();
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, clean)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_piece_is_sent_once),
		TEST(what_is_lost_is_sent_again),
		TEST(it_goes_on_where_it_stopped),
		TEST(what_answers_nothing_is_given_up),
		TEST(errors_are_handed_on),
	};

	return cmocka_run_group_tests(tests, start_machine, NULL);
}
