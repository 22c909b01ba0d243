/* SPDX-License-Identifier: MIT */
/*
 * A hypervisor with one image in its package, a pool of memory, and a client
 * whose requests go to the real handlers; without the line between.
 */
#ifndef TESTS_IMAGE_STORE_H
#define TESTS_IMAGE_STORE_H

#include "kernel/manage/request.h"
#include "kernel/manage/service.h"
#include <arch/fake/fake.h>
#include <lz4.h>
#include <mullion/frame_pool.h>
#include <mullion/images.h>
#include <mullion/page.h>
#include <stdlib.h>
#include <string.h>

#define POOL_FRAMES 40
#define WORK_MAX 100000 /* steps */

static struct answer answer;
static uint32_t sequence;

static void machine_start(void)
{
	static uint8_t pages[FRAME_SIZE] __attribute__((aligned(4096)));
	static frame_owner owners[POOL_FRAMES + 1];
	static const struct mull_memory_range ranges[] = {
		{ 0, (POOL_FRAMES + 1) * FRAME_SIZE, MULL_MEMORY_USABLE, 0 },
	};

	page_start(pages, 1, 0);
	frame_pool_start(ranges, 1, owners, POOL_FRAMES + 1);
	log_start();
	boot_package.bytes = (const uint8_t *)"package";
	boot_package.image_count = 1;
	boot_package.images[0] = (struct mull_image){ .name = "first",
						      .kind = MULL_IMAGE_ELF64,
						      .size = 7 };
}

/* All steps up to the answer; returns its error. */
static uint32_t ask_data(uint32_t command, uint32_t number, uint64_t argument,
			 const void *data, size_t length)
{
	uint8_t payload[MULL_FRAME_PAYLOAD_MAX];
	const struct mull_request request = { command, number, argument };

	memcpy(payload, &request, sizeof request);
	if (length)
		memcpy(payload + sizeof request, data, length);
	request_obey(LINE_SERIAL, ++sequence, payload, sizeof request + length,
		     &answer);
	for (int i = 0; answer.pending && i < WORK_MAX; i++) {
		upload_work();
		request_continue(&answer);
	}
	return answer.reply.error;
}

static inline uint32_t ask(uint32_t command, uint32_t number, uint64_t argument)
{
	return ask_data(command, number, argument, NULL, 0);
}

static inline uint32_t begin_upload(const struct mull_upload *upload)
{
	return ask_data(MULL_COMMAND_UPLOAD, 0, 0, upload, sizeof *upload);
}

static inline uint32_t answered_number(void)
{
	return ((const struct mull_upload_state *)answer.data)->number;
}

static inline uint32_t give_data(uint32_t number, uint64_t offset,
				 const void *bytes, size_t length)
{
	uint8_t payload[MULL_FRAME_PAYLOAD_MAX];

	memcpy(payload, &offset, sizeof offset);
	memcpy(payload + sizeof offset, bytes, length);
	request_take_data(++sequence, number, payload, sizeof offset + length,
			  &answer);
	return answer.reply.error;
}

static inline void work(void)
{
	for (int i = 0; i < WORK_MAX; i++)
		if (!upload_work())
			return;
	abort(); /* it does not end */
}

/* Blocks of @size bytes at @image to @wire; returns how long they are. */
static inline size_t compress_image(const uint8_t *image, size_t size,
				    uint8_t *wire)
{
	size_t at = 0;

	for (size_t done = 0; done < size; done += MULL_BLOCK_SIZE) {
		size_t left = size - done;
		int block = left < MULL_BLOCK_SIZE ? (int)left :
						     MULL_BLOCK_SIZE;
		int length = LZ4_compress_default((const char *)image + done,
						  (char *)wire + at + 4, block,
						  block);
		uint32_t word = (uint32_t)length;

		if (length <= 0) {
			length = block;
			word = MULL_BLOCK_STORED | (uint32_t)block;
			memcpy(wire + at + 4, image + done, (size_t)block);
		}
		memcpy(wire + at, &word, 4);
		at += 4 + (size_t)length;
	}
	return at;
}

#endif
