/* SPDX-License-Identifier: MIT */
/*
 * The upload of an image, one at a time.  What comes is kept in a buffer, and
 * is expanded and hashed from there in small steps, so that the line is read
 * meanwhile.  An upload that was left off stays until it is resumed, deleted
 * or replaced by another one.
 */
#include "lz4.h"
#include "request.h"
#include "service.h"
#include <bearssl/bearssl_hash.h>
#include <mullion/arch.h>
#include <mullion/bits.h>
#include <mullion/images.h>
#include <string.h>

#define WINDOW 4096	 /* bytes that a client may have on their way */
#define HASH_STEP KIB(1) /* divides a frame and a block */
#define EXPAND_STEP 256	 /* sequences */
#define HEADER_SIZE 4ul	 /* of a compressed block */

static struct {
	struct mull_upload asked;
	uint32_t number; /* it is under way, or was the last, if this is in
			     the store */
	bool finished;
	uint64_t taken;	  /* bytes that came */
	uint64_t written; /* bytes of the image, whole blocks */
	uint64_t hashed;
	struct lz4 lz4; /* the block that is being expanded */
	br_sha256_context sha256;
	enum error error; /* why it cannot go on, and in words */
	const char *problem;
	size_t held; /* bytes in the buffer, from a block's start */
	uint8_t buffer[HEADER_SIZE + MULL_BLOCK_SIZE + 2 * WINDOW];
} upload;

static bool is_current(uint32_t number)
{
	return upload.asked.size && upload.number == number &&
	       store_image(number);
}

void upload_status(struct mull_image_status *status)
{
	if (!is_current(status->number) || upload.finished)
		return;
	status->flags |= upload.error ? MULL_IMAGE_BROKEN : MULL_IMAGE_PARTIAL;
	status->received = upload.written;
}

/* ---- expanding and hashing ----------------------------------------------- */

static void fail(enum error error, const char *problem)
{
	upload.error = error;
	upload.problem = problem;
}

static void end_block(size_t wire_size, size_t size)
{
	upload.held -= wire_size;
	memmove(upload.buffer, upload.buffer + wire_size, upload.held);
	upload.written += size;
	upload.lz4 = (struct lz4){ 0 };
}

/* Whether there was anything to do. */
static bool expand_step(void)
{
	uint64_t left = upload.asked.size - upload.written;
	size_t size = left < MULL_BLOCK_SIZE ? left : MULL_BLOCK_SIZE;
	uint32_t length = MULL_BLOCK_STORED | (uint32_t)size;
	size_t header = 0;
	bool stored, done = true;
	uint8_t *to;

	if (upload.asked.compression == MULL_COMPRESSION_LZ4)
		header = HEADER_SIZE;
	if (upload.held >= header)
		memcpy(&length, upload.buffer, header);
	stored = length & MULL_BLOCK_STORED;
	length &= ~MULL_BLOCK_STORED;
	if (stored ? length != size : length > MULL_BLOCK_SIZE) {
		fail(ERR_BAD_IMAGE, "a block has a length that cannot be");
		return true;
	}
	if (upload.held < header + length) {
		if (upload.taken < upload.asked.wire_size)
			return false;
		fail(ERR_TRUNCATED, "it ends within a block");
		return true;
	}
	to = store_window(upload.number, upload.written);
	if (stored)
		memcpy(to, upload.buffer + header, size);
	else
		fail(lz4_step(&upload.lz4, upload.buffer + header, length, to,
			      size, EXPAND_STEP, &done),
		     "a block is not LZ4's");
	if (done && !upload.error)
		end_block(header + length, size);
	return true;
}

static void hash_step(void)
{
	uint64_t length = upload.written - upload.hashed;
	const uint8_t *bytes = store_window(upload.number, upload.hashed);

	if (length > HASH_STEP)
		length = HASH_STEP;
	arch_fpu_begin();
	br_sha256_update(&upload.sha256, bytes, length);
	arch_fpu_end();
	upload.hashed += length;
}

static void finish(void)
{
	uint8_t digest[br_sha256_SIZE];

	arch_fpu_begin();
	br_sha256_out(&upload.sha256, digest);
	arch_fpu_end();
	if (memcmp(digest, upload.asked.sha256, sizeof upload.asked.sha256)) {
		fail(ERR_BAD_HASH, "the SHA-256 is not that of what came");
		return;
	}
	upload.finished = true;
	store_finish(upload.number);
	log_write("image %u, %s: %lu bytes were uploaded", upload.number,
		  upload.asked.name, upload.asked.size);
}

bool upload_work(void)
{
	if (upload.finished || upload.error || !is_current(upload.number))
		return false;
	if (upload.written == upload.hashed)
		return expand_step();
	hash_step();
	if (upload.hashed == upload.asked.size)
		finish();
	return true;
}

/* ---- requests ------------------------------------------------------------ */

static enum error find_name(const char *name, struct answer *answer)
{
	for (uint32_t i = 0; i < MULL_IMAGE_MAX; i++) {
		struct load_image image = image_find(i);

		if (image.record &&
		    !memcmp(image.record->name, name, strlen(name) + 1))
			return answer_words(answer, ERR_EXISTS,
					    "image %u has the name %s already",
					    i, name);
	}
	return ERR_NONE;
}

static enum error begin(const struct mull_upload *asked,
			const struct mull_image *record, struct answer *answer)
{
	enum error error = find_name(record->name, answer);

	if (error)
		return error;
	if (!upload.finished && is_current(upload.number))
		store_remove(upload.number);
	memset(&upload, 0, offsetof(typeof(upload), buffer));
	error = store_add(record, &upload.number);
	if (error)
		return error;
	upload.asked = *asked;
	arch_fpu_begin();
	br_sha256_init(&upload.sha256);
	arch_fpu_end();
	return ERR_NONE;
}

enum error request_upload(const struct asked *asked, struct answer *answer)
{
	struct mull_image record = { 0 };
	struct mull_upload_state *state;
	struct mull_upload what;
	const char *problem;
	enum error error;

	memcpy(&what, asked->data, sizeof what);
	memcpy(record.name, what.name, sizeof record.name);
	memcpy(record.sha256, what.sha256, sizeof record.sha256);
	record.kind = what.kind;
	record.size = what.size;
	problem = image_problem(&record);
	if (!problem && what.compression > MULL_COMPRESSION_LZ4)
		problem = "its compression is not known";
	if (problem)
		return answer_words(answer, ERR_BAD_REQUEST, "%s", problem);
	if (!is_current(upload.number) || upload.error ||
	    memcmp(&upload.asked, &what, sizeof what)) {
		error = begin(&what, &record, answer);
		if (error)
			return error;
	}
	state = answer_add(answer, sizeof *state);
	*state = (struct mull_upload_state){ upload.number, WINDOW };
	answer->reply.value = upload.taken;
	return ERR_NONE;
}

static enum error no_upload(const struct asked *asked, struct answer *answer)
{
	if (!is_current(asked->number))
		return answer_words(answer, ERR_NOT_FOUND,
				    "image %u is not being uploaded",
				    asked->number);
	answer->reply.value = upload.taken;
	return upload.error ? answer_words(answer, upload.error, "%s: %s",
					   upload.asked.name, upload.problem) :
			      ERR_NONE;
}

enum error request_upload_data(const struct asked *asked, struct answer *answer)
{
	enum error error = no_upload(asked, answer);
	struct mull_upload_data header;
	size_t length = asked->length - sizeof header;

	if (error)
		return error;
	if (asked->length < sizeof header)
		return ERR_BAD_REQUEST;
	memcpy(&header, asked->data, sizeof header);
	if (header.offset != upload.taken ||
	    length > upload.asked.wire_size - upload.taken ||
	    length > sizeof upload.buffer - upload.held)
		return ERR_NONE;
	memcpy(upload.buffer + upload.held, asked->data + sizeof header,
	       length);
	upload.held += length;
	upload.taken += length;
	answer->reply.value = upload.taken;
	return ERR_NONE;
}

enum error request_upload_end(const struct asked *asked, struct answer *answer)
{
	const struct asked about = { .number = (uint32_t)asked->argument };
	enum error error = no_upload(&about, answer);

	if (error || upload.finished)
		return error;
	if (upload.taken < upload.asked.wire_size)
		return answer_words(answer, ERR_TRUNCATED,
				    "%lu of %lu bytes came", upload.taken,
				    upload.asked.wire_size);
	answer->pending = true; /* upload_work() comes to an end */
	return ERR_NONE;
}
