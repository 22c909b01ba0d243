/* SPDX-License-Identifier: MIT */
/* A load of any bytes, for the loaders' fuzz targets. */
#ifndef FUZZ_LOADER_H
#define FUZZ_LOADER_H

#include <bearssl/bearssl_hash.h>
#include <mullion/bits.h>
#include <mullion/load.h>
#include <stdlib.h>
#include <string.h>

#define FUZZ_LOW MIB(32)
#define FUZZ_HIGH MIB(4)

static void require(bool holds)
{
	if (!holds)
		abort();
}

/* No kernel needs more steps than its hash, all of memory, and the tables. */
static void run_bounded(struct load *load, size_t size)
{
	size_t most = size / 1024 + FUZZ_LOW / KIB(64) + 64;
	enum error error = ERR_NONE;
	bool done = false;

	for (size_t i = 0; i < most && !error && !done; i++)
		error = load_step(load, &done);
	require(done == !error);
	require(done == !load->words[0]);
	require(memchr(load->words, 0, sizeof load->words));
	if (done)
		require(load->start.rip < FUZZ_LOW &&
			load->start.rbx < 0x9f000 &&
			load->start.cr3 < 0x9f000 && load->start.rsp < 0x9f000);
}

/* Loads @bytes, of which ASan sees any read behind @size. */
static void fuzz_load(uint32_t kind, const uint8_t *bytes, size_t size)
{
	static uint32_t frames[(FUZZ_LOW + FUZZ_HIGH) / FRAME_SIZE];
	static const uint8_t initrd[KIB(3)];
	static struct mull_image records[2];
	static struct load load;
	static struct mull_vm vm = { .name = "fuzz", .vcpu_count = 2 };
	const bool has_modules = kind >= MULL_IMAGE_PVH;
	const struct guest_memory memory = {
		.region_count = 2,
		.regions = { { .size = FUZZ_LOW, .frames = frames },
			     { .start = { GIB(4) },
			       .size = FUZZ_HIGH,
			       .frames = frames + FUZZ_LOW / FRAME_SIZE } },
	};
	const struct load_request request = {
		.memory = &memory,
		.vm = &vm,
		.kernel = { .record = &records[0], .bytes = bytes },
		.initrd = { .record = &records[1], .bytes = initrd },
		.modules = { { .record = &records[1], .bytes = initrd },
			     { .record = &records[1], .bytes = initrd } },
		.memory_low = FUZZ_LOW,
		.memory_high = FUZZ_HIGH,
	};
	br_sha256_context sha256;

	vm.module_count = has_modules ? 2 : 0;
	memset(vm.modules[1].words, 'w', sizeof vm.modules[1].words);
	for (uint32_t i = 0; i < ARRAY_COUNT(frames); i++)
		frames[i] = 100 + i;
	for (int i = 0; i < 2; i++) {
		records[i].kind = i ? MULL_IMAGE_INITRD : kind;
		records[i].size = i ? sizeof initrd : size;
		br_sha256_init(&sha256);
		br_sha256_update(&sha256, i ? initrd : bytes, records[i].size);
		br_sha256_out(&sha256, records[i].sha256);
	}
	load_begin(&load, &request);
	run_bounded(&load, size);
}

#endif
