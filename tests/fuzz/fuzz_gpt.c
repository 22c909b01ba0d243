/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as a disk: what is not refused lies where partitions may be, apart
 * from all the others and from both tables.
 * Build: clang -std=gnu17 -g -O1 -fsanitize=fuzzer,address,undefined
 *        -Iinclude tests/fuzz/fuzz_gpt.c kernel/storage/gpt.c kernel/crc32.c
 */
#include "fuzz_input.h"
#include <mullion/crc32.h>
#include <mullion/gpt.h>
#include <stdlib.h>
#include <string.h>

#define SECTORS 128

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t disk[SECTORS * 512];
static uint64_t buffer[GPT_BUFFER / 8];
static uint32_t sector_size;

static void require(bool holds)
{
	if (!holds)
		abort();
}

static enum error read_sectors(void *context, uint64_t sector, void *to,
			       uint32_t count)
{
	uint64_t sectors = sizeof disk / sector_size;

	(void)context;
	require(count && count <= GPT_BUFFER / sector_size);
	require(sector < sectors && count <= sectors - sector);
	memcpy(to, disk + sector * sector_size, count * sector_size);
	return ERR_NONE;
}

static uint64_t value_at(const uint8_t *bytes, uint32_t size)
{
	uint64_t value = 0;

	memcpy(&value, bytes, size);
	return value;
}

/* What is zero is as it should be. */
static void fill(uint8_t *at, uint64_t value, uint32_t size)
{
	if (!value_at(at, size))
		memcpy(at, &value, size);
}

/* Makes a table of what is there, with the CRCs that no fuzzer guesses. */
static void make_plausible(uint64_t here)
{
	uint8_t *header = disk + here * sector_size;
	uint64_t entries, length;
	uint32_t crc;

	memcpy(header, "EFI PART\0\0\1", 12);
	memcpy(header + 24, &here, sizeof here);
	memcpy(header + 12, "\134\0\0", 4);
	fill(header + 32, sizeof disk / sector_size - here, 8);
	fill(header + 40, 6, 8);
	fill(header + 48, sizeof disk / sector_size - 8, 8);
	fill(header + 72, here == 1 ? 2 : here - 4, 8);
	fill(header + 80, 4, 4);
	fill(header + 84, 128, 4);
	entries = value_at(header + 72, 8);
	length = value_at(header + 80, 4) * value_at(header + 84, 4);
	if (entries < sizeof disk / sector_size &&
	    length <= sizeof disk - entries * sector_size) {
		crc = crc32_ieee(0, disk + entries * sector_size, length);
		memcpy(header + 88, &crc, sizeof crc);
	}
	memset(header + 16, 0, 4);
	crc = crc32_ieee(0, header, 92);
	memcpy(header + 16, &crc, sizeof crc);
}

static void check(const struct gpt *gpt, uint64_t sectors)
{
	for (uint32_t i = 0; i < gpt->count; i++) {
		const struct gpt_partition *at = &gpt->partitions[i];

		require(memchr(at->name, 0, sizeof at->name));
		if (at->refusal)
			continue;
		require(at->name[0]);
		require(at->first > 2 && at->first <= at->last &&
			at->last < sectors - 1);
		for (uint32_t j = 0; j < i; j++)
			require(gpt->partitions[j].refusal ||
				at->first > gpt->partitions[j].last ||
				at->last < gpt->partitions[j].first);
	}
}

/* The input is the fields of a header, then those of entries. */
static void lay_out(void)
{
	uint8_t *header = disk + sector_size;
	uint8_t *entry = disk + 2 * sector_size;

	for (uint32_t at = 32; at < 92; at += 4) {
		uint32_t field = (uint32_t)any(any(1) % 5);

		memcpy(header + at, &field, sizeof field);
	}
	for (; input.size && entry < disk + sizeof disk / 2; entry += 128) {
		entry[0] = (uint8_t)any(1);
		entry[32] = (uint8_t)any(1);
		entry[39] = (uint8_t)(any(1) / 128);
		entry[40] = (uint8_t)any(1);
		entry[56] = (uint8_t)any(1);
	}
	memcpy(disk + sizeof disk - sector_size, header, sector_size);
	memcpy(disk + sizeof disk - sector_size - 512, disk + 2 * sector_size,
	       512);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct gpt gpt;
	struct gpt_source source = { .read = read_sectors, .buffer = buffer };
	const char *words = NULL;

	if (size < 2)
		return 0;
	memset(disk, 0, sizeof disk);
	sector_size = data[0] & 1 ? 4096 : 512;
	source.sector_size = sector_size;
	source.sector_count = sizeof disk / sector_size;
	input.data = data + 1;
	input.size = size - 1;
	lay_out();
	disk[446 + 4] = 0xee;
	disk[510] = 0x55;
	disk[511] = 0xaa;
	if (data[0] & 2)
		make_plausible(1);
	if (data[0] & 4)
		make_plausible(source.sector_count - 1);
	if (gpt_read(&source, &gpt, &words) == ERR_NONE)
		check(&gpt, source.sector_count);
	else
		require(words && !gpt.count);
	return 0;
}
