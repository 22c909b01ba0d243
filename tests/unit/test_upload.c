/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/unit/image_store.h"

#include <cmocka.h>
#include <openssl/sha.h>

#define SIZE (2 * FRAME_SIZE + 5 * MULL_BLOCK_SIZE + 77)

static uint8_t image[SIZE], wire[SIZE + SIZE / 64];
static struct mull_upload upload; /* of "image", by @wire */

/* Half of it can be compressed, every second block cannot. */
static void make_image(bool compressed)
{
	for (size_t i = 0; i < SIZE; i++)
		image[i] = i / MULL_BLOCK_SIZE % 2 ? (uint8_t)rand() :
						     (uint8_t)(i / 700);
	upload = (struct mull_upload){ .name = "image",
				       .size = SIZE,
				       .wire_size = SIZE,
				       .kind = MULL_IMAGE_INITRD };
	SHA256(image, SIZE, upload.sha256);
	memcpy(wire, image, SIZE);
	if (!compressed)
		return;
	upload.compression = MULL_COMPRESSION_LZ4;
	upload.wire_size = compress_image(image, SIZE, wire);
	assert_true(upload.wire_size < SIZE * 2 / 3);
}

static void begin(uint32_t number, uint64_t from)
{
	assert_int_equal(begin_upload(&upload), ERR_NONE);
	assert_int_equal(answered_number(), number);
	assert_int_equal(answer.reply.value, from);
}

/* Sends as a client does: what is not taken comes again. */
static void send_until(uint32_t number, uint64_t from, uint64_t end)
{
	for (int i = 0; from < end; i++) {
		size_t length = 1 + (size_t)rand() % 1016;

		assert_true(i < WORK_MAX);
		if (length > end - from)
			length = end - from;
		assert_int_equal(give_data(number, from, wire + from, length),
				 ERR_NONE);
		assert_true(answer.reply.value <= from + length);
		from = answer.reply.value;
		for (int k = rand() % 50; k; k--)
			upload_work();
	}
}

static uint32_t end(uint32_t number)
{
	return ask(MULL_COMMAND_UPLOAD_END, 0, number);
}

static const struct mull_image_status *status_of(uint32_t number)
{
	static struct mull_image_status status;

	assert_int_equal(ask(MULL_COMMAND_IMAGES, 0, number), ERR_NONE);
	assert_true(answer.length >= sizeof status);
	memcpy(&status, answer.data, sizeof status);
	assert_int_equal(status.number, number);
	return &status;
}

static void expect_words(const char *words)
{
	char text[MULL_REPLY_DATA_MAX + 1];

	memcpy(text, answer.data, answer.length);
	text[answer.length] = 0;
	assert_string_equal(text, words);
}

static int clean(void **unused)
{
	(void)unused;
	for (uint32_t i = 1; i < MULL_IMAGE_MAX; i++)
		ask(MULL_COMMAND_IMAGE_DELETE, 0, i);
	assert_int_equal(frames_free(), POOL_FRAMES);
	assert_int_equal(pages_in_use(), 0);
	assert_false(fake_fpu_open);
	return 0;
}

/* ---- what works ---------------------------------------------------------- */

static void check_stored(uint32_t number)
{
	static uint8_t back[SIZE];
	struct load_image found = image_find(number);

	assert_int_equal(image_kind(number), MULL_IMAGE_INITRD);
	assert_int_equal(found.record->size, SIZE);
	image_read(&found, 0, back, SIZE);
	assert_memory_equal(back, image, SIZE);
	memset(back, 0, SIZE);
	for (size_t at = 0; at < SIZE; at += answer.length) {
		assert_int_equal(ask(MULL_COMMAND_IMAGE_READ, number, at),
				 ERR_NONE);
		assert_true(answer.length > 0 && answer.length <= SIZE - at);
		assert_int_equal(answer.reply.value, SIZE);
		memcpy(back + at, answer.data, answer.length);
	}
	assert_memory_equal(back, image, SIZE);
	assert_int_equal(ask(MULL_COMMAND_IMAGE_READ, number, SIZE), ERR_NONE);
	assert_int_equal(answer.length, 0);
	assert_int_equal(ask(MULL_COMMAND_IMAGE_READ, number, SIZE + 1),
			 ERR_BAD_REQUEST);
}

static void what_was_uploaded_is_there(void **unused)
{
	(void)unused;
	for (uint32_t number = 1; number <= 2; number++) {
		const struct mull_image_status *status;

		make_image(number == 2);
		upload.name[0] = (char)('a' + number);
		begin(number, 0);
		assert_int_equal(image_kind(number), 0);
		assert_false(image_is_verified(number));
		status = status_of(number);
		assert_int_equal(status->flags,
				 MULL_IMAGE_UPLOADED | MULL_IMAGE_PARTIAL);
		assert_int_equal(ask(MULL_COMMAND_IMAGE_READ, number, 0),
				 ERR_NOT_FOUND);
		send_until(number, 0, upload.wire_size);
		assert_int_equal(end(number), ERR_NONE);
		status = status_of(number);
		assert_string_equal(status->name, upload.name);
		assert_int_equal(status->flags, MULL_IMAGE_UPLOADED);
		assert_int_equal(status->size, SIZE);
		assert_int_equal(status->received, SIZE);
		assert_memory_equal(status->sha256, upload.sha256, 32);
		check_stored(number);
		assert_true(image_is_verified(number));
	}
	for (uint32_t i = 1; i <= POOL_FRAMES; i++)
		if (frame_owner_of(i) == FRAME_STORE)
			return;
	fail_msg("no frame is the store's");
}

/* Replies may be lost: whatever comes again is answered as before. */
static void what_comes_again_changes_nothing(void **unused)
{
	(void)unused;
	make_image(true);
	begin(1, 0);
	send_until(1, 0, 5000);
	assert_int_equal(give_data(1, 4000, wire, 1000), ERR_NONE);
	assert_int_equal(answer.reply.value, 5000);
	assert_int_equal(give_data(1, 6000, wire, 1000), ERR_NONE); /* a gap */
	assert_int_equal(answer.reply.value, 5000);
	send_until(1, 5000, upload.wire_size);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(give_data(1, upload.wire_size - 10, wire, 10),
				 ERR_NONE);
		assert_int_equal(answer.reply.value, upload.wire_size);
		assert_int_equal(end(1), ERR_NONE);
	}
	begin(1, upload.wire_size);
	check_stored(1);
}

static void an_upload_goes_on_where_it_stopped(void **unused)
{
	(void)unused;
	make_image(true);
	begin(1, 0);
	send_until(1, 0, 20001);
	begin(1, 20001);
	work();
	begin(1, 20001);
	assert_int_equal(end(1), ERR_TRUNCATED);
	send_until(1, 20001, upload.wire_size);
	assert_int_equal(end(1), ERR_NONE);
	check_stored(1);
}

/* Without work on it, the buffer is full at some time, and never overflows. */
static void more_than_there_is_room_for_is_wanted_later(void **unused)
{
	uint64_t at = 0, before = 1;

	(void)unused;
	make_image(false);
	begin(1, 0);
	for (; at != before; at = answer.reply.value) {
		before = at;
		give_data(1, at, wire + at, 1016);
	}
	assert_in_range(at, MULL_BLOCK_SIZE + 4096, MULL_BLOCK_SIZE + 3 * 4096);
	send_until(1, at, SIZE);
	assert_int_equal(end(1), ERR_NONE);
	check_stored(1);
}

static void nothing_leaks(void **unused)
{
	uint64_t free = frames_free(), pages = pages_in_use();

	(void)unused;
	make_image(true);
	for (int i = 0; i < 200; i++) {
		upload.sha256[0] = (uint8_t)i; /* each is another one */
		begin(1, 0);
		assert_true(frames_free() == free - 3);
		if (i % 4 == 0)
			continue; /* replaced by the next */
		send_until(1, 0, i % 4 == 1 ? 3000 : upload.wire_size);
		if (i % 4 == 3)
			assert_int_equal(end(1), ERR_BAD_HASH);
		assert_int_equal(ask(MULL_COMMAND_IMAGE_DELETE, 0, 1),
				 ERR_NONE);
		assert_int_equal(frames_free(), free);
		assert_int_equal(pages_in_use(), pages);
	}
}

/* ---- what is refused ----------------------------------------------------- */

static void another_hash_refuses_it(void **unused)
{
	(void)unused;
	make_image(true);
	upload.sha256[31] ^= 1;
	begin(1, 0);
	send_until(1, 0, upload.wire_size);
	assert_int_equal(end(1), ERR_BAD_HASH);
	expect_words("image: the SHA-256 is not that of what came");
	assert_int_equal(image_kind(1), 0);
	assert_int_equal(status_of(1)->flags,
			 MULL_IMAGE_UPLOADED | MULL_IMAGE_BROKEN);
	assert_int_equal(give_data(1, 0, wire, 1), ERR_BAD_HASH);
	begin(1, 0); /* it may be tried again */
	upload.sha256[31] ^= 1;
	begin(1, 0);
}

static void bad_blocks_are_refused(void **unused)
{
	static const struct {
		uint32_t at, value;
		const char *words;
	} rows[] = {
		{ 0, 16385, "image: a block has a length that cannot be" },
		{ 0, MULL_BLOCK_STORED | 16383,
		  "image: a block has a length that cannot be" },
		{ 0, 16, "image: a block is not LZ4's" },
		{ 0, 0, "image: a block is not LZ4's" },
		{ 4, 0xffffffff, "image: a block is not LZ4's" },
		/* One byte, and a match 0 or 2 before. */
		{ 4, 0x00006110, "image: a block is not LZ4's" },
		{ 4, 0x00026110, "image: a block is not LZ4's" },
	};

	(void)unused;
	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		make_image(true);
		memcpy(wire + rows[i].at, &rows[i].value, 4);
		begin(1, 0);
		for (uint64_t at = 0; at < 8000 && !answer.reply.error;
		     at += 1000, work())
			give_data(1, at, wire + at, 1000);
		assert_int_equal(end(1), ERR_BAD_IMAGE);
		expect_words(rows[i].words);
	}
	make_image(true);
	upload.wire_size -= 5;
	begin(1, 0);
	send_until(1, 0, upload.wire_size);
	assert_int_equal(end(1), ERR_TRUNCATED);
	expect_words("image: it ends within a block");
}

static void what_makes_no_sense_is_refused(void **unused)
{
	struct mull_upload other;

	(void)unused;
	make_image(false);
	other = upload;
#define REFUSED(change, error) \
	do { \
		other = upload; \
		change; \
		assert_int_equal(begin_upload(&other), (error)); \
		assert_true(answer.length > 0); \
	} while (0)
	REFUSED(other.name[0] = 0, ERR_BAD_REQUEST);
	REFUSED(other.name[2] = '\n', ERR_BAD_REQUEST);
	REFUSED(memset(other.name, 'a', 32), ERR_BAD_REQUEST);
	REFUSED(other.kind = 0, ERR_BAD_REQUEST);
	REFUSED(other.kind = 99, ERR_BAD_REQUEST);
	REFUSED(other.compression = 2, ERR_BAD_REQUEST);
	REFUSED(other.size = 0, ERR_BAD_REQUEST);
	REFUSED(other.size = UINT64_MAX, ERR_TOO_LARGE);
	REFUSED(other.size = GIB(2) + 1, ERR_TOO_LARGE);
	REFUSED(other.size = GIB(2), ERR_NO_MEMORY);
	REFUSED(other.size = (POOL_FRAMES + 1) * FRAME_SIZE, ERR_NO_MEMORY);
	REFUSED(strcpy(other.name, "first"), ERR_EXISTS);
	assert_int_equal(give_data(1, 0, wire, 1), ERR_NOT_FOUND);
	assert_int_equal(end(1), ERR_NOT_FOUND);
	assert_int_equal(end(0), ERR_NOT_FOUND);
	begin(1, 0);
	assert_int_equal(give_data(2, 0, wire, 1), ERR_NOT_FOUND);
	request_take_data(1, 1, wire, 7, &answer);
	assert_int_equal(answer.reply.error, ERR_BAD_REQUEST);
	send_until(1, 0, SIZE);
	assert_int_equal(give_data(1, SIZE, wire, 1), ERR_NONE);
	assert_int_equal(answer.reply.value, SIZE);
	assert_int_equal(end(1), ERR_NONE);
	REFUSED(other.size--, ERR_EXISTS);
}

static void an_image_in_use_stays(void **unused)
{
	static struct vm vm = { .description = { .name = "web" },
				.vcpu_count = 1 };

	(void)unused;
	make_image(true);
	begin(1, 0);
	send_until(1, 0, upload.wire_size);
	assert_int_equal(end(1), ERR_NONE);
	console_add(&vm);
	vm.description.kernel = 0;
	vm.description.initrd = 1;
	assert_int_equal(status_of(1)->users, 1);
	assert_int_equal(ask(MULL_COMMAND_IMAGE_DELETE, 0, 1), ERR_BUSY);
	vm.vcpu_count = 0; /* a refused one has no images */
	assert_int_equal(status_of(1)->users, 0);
	vm.vcpu_count = 1;
	vm.description.initrd = MULL_NO_IMAGE;
	vm.description.disks[1].image = 1;
	assert_int_equal(status_of(1)->users, 0); /* that is no disk */
	vm.description.disks[1].kind = MULL_DISK_MEMORY;
	assert_int_equal(status_of(1)->users, 1);
	assert_int_equal(ask(MULL_COMMAND_IMAGE_DELETE, 0, 1), ERR_BUSY);
	vm.description.disks[1].kind = MULL_DISK_NONE;
	assert_int_equal(ask(MULL_COMMAND_IMAGE_DELETE, 0, 0), ERR_BUSY);
	assert_int_equal(ask(MULL_COMMAND_IMAGE_DELETE, 0, 1), ERR_NONE);
	assert_int_equal(ask(MULL_COMMAND_IMAGE_DELETE, 0, 1), ERR_NOT_FOUND);
	console_of(0)->vm = NULL;
}

static void there_are_no_more_numbers_than_there_are(void **unused)
{
	uint32_t count = 0;

	(void)unused;
	upload = (struct mull_upload){ .size = 1,
				       .wire_size = 1,
				       .kind = MULL_IMAGE_INITRD };
	wire[0] = 'x';
	SHA256(wire, 1, upload.sha256);
	for (uint32_t i = 1; i <= POOL_FRAMES; i++) {
		upload.name[0] = (char)('0' + i);
		begin(i, 0);
		send_until(i, 0, 1);
		assert_int_equal(end(i), ERR_NONE);
	}
	upload.name[0] = 'x';
	assert_int_equal(begin_upload(&upload), ERR_NO_MEMORY);
	answer.reply.value = 0;
	do {
		assert_int_equal(
			ask(MULL_COMMAND_IMAGES, 0, answer.reply.value),
			ERR_NONE);
		count += (uint32_t)(answer.length /
				    sizeof(struct mull_image_status));
	} while (answer.reply.value);
	assert_int_equal(count, POOL_FRAMES + 1);
}

static int start(void **unused)
{
	(void)unused;
	machine_start();
	return 0;
}

#define TEST(name) cmocka_unit_test_teardown(name, clean)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_was_uploaded_is_there),
		TEST(what_comes_again_changes_nothing),
		TEST(an_upload_goes_on_where_it_stopped),
		TEST(more_than_there_is_room_for_is_wanted_later),
		TEST(nothing_leaks),
		TEST(another_hash_refuses_it),
		TEST(bad_blocks_are_refused),
		TEST(what_makes_no_sense_is_refused),
		TEST(an_image_in_use_stays),
		TEST(there_are_no_more_numbers_than_there_are),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
