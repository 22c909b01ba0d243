/* SPDX-License-Identifier: MIT */
/* A disk in memory with a GUID Partition Table that a test may damage. */
#ifndef GPT_DISK_H
#define GPT_DISK_H

#include <mullion/crc32.h>
#include <mullion/gpt.h>
#include <string.h>

#define GPT_DISK_SECTORS 256
#define GPT_ENTRIES 128
#define GPT_ARRAY_SECTORS 32 /* of 512 bytes */
#define GPT_LAST (GPT_DISK_SECTORS - 1)
#define GPT_FIRST_USABLE 34
#define GPT_LAST_USABLE (GPT_LAST - GPT_ARRAY_SECTORS - 1)

/* Offsets in a header and in an entry. */
enum {
	HEADER_REVISION = 8,
	HEADER_SIZE = 12,
	HEADER_CRC = 16,
	HEADER_HERE = 24,
	HEADER_OTHER = 32,
	HEADER_FIRST = 40,
	HEADER_LAST = 48,
	HEADER_ENTRIES = 72,
	HEADER_COUNT = 80,
	HEADER_ENTRY_SIZE = 84,
	HEADER_ENTRIES_CRC = 88,
	ENTRY_FIRST = 32,
	ENTRY_LAST = 40,
	ENTRY_NAME = 56,
};

static uint8_t gpt_disk[GPT_DISK_SECTORS][512];

static inline void gpt_put(void *at, uint32_t offset, uint64_t value,
			   uint32_t size)
{
	memcpy((uint8_t *)at + offset, &value, size);
}

static inline uint64_t gpt_get(const void *at, uint32_t offset, uint32_t size)
{
	uint64_t value = 0;

	memcpy(&value, (const uint8_t *)at + offset, size);
	return value;
}

static inline uint8_t *gpt_entry(uint32_t index)
{
	return gpt_disk[2] + 128 * index;
}

static inline uint8_t *gpt_backup_entry(uint32_t index)
{
	return gpt_disk[GPT_LAST - GPT_ARRAY_SECTORS] + 128 * index;
}

/* The header in @sector is as it should be, but for what a test changed. */
static inline void gpt_seal_header(uint32_t sector)
{
	uint8_t *header = gpt_disk[sector];

	gpt_put(header, HEADER_CRC, 0, 4);
	gpt_put(header, HEADER_CRC,
		crc32_ieee(0, header, gpt_get(header, HEADER_SIZE, 4) % 513),
		4);
}

/* The second table has the entries of the first; both have their CRCs. */
static inline void gpt_seal(void)
{
	uint32_t crc = crc32_ieee(0, gpt_disk[2], GPT_ARRAY_SECTORS * 512);

	memcpy(gpt_backup_entry(0), gpt_entry(0), GPT_ARRAY_SECTORS * 512);
	gpt_put(gpt_disk[1], HEADER_ENTRIES_CRC, crc, 4);
	gpt_put(gpt_disk[GPT_LAST], HEADER_ENTRIES_CRC, crc, 4);
	gpt_seal_header(1);
	gpt_seal_header(GPT_LAST);
}

static inline void gpt_make_header(uint32_t here, uint32_t other,
				   uint32_t entries)
{
	uint8_t *header = gpt_disk[here];

	memcpy(header, "EFI PART", 8);
	gpt_put(header, HEADER_REVISION, 0x10000, 4);
	gpt_put(header, HEADER_SIZE, 92, 4);
	gpt_put(header, HEADER_HERE, here, 8);
	gpt_put(header, HEADER_OTHER, other, 8);
	gpt_put(header, HEADER_FIRST, GPT_FIRST_USABLE, 8);
	gpt_put(header, HEADER_LAST, GPT_LAST_USABLE, 8);
	gpt_put(header, HEADER_ENTRIES, entries, 8);
	gpt_put(header, HEADER_COUNT, GPT_ENTRIES, 4);
	gpt_put(header, HEADER_ENTRY_SIZE, 128, 4);
}

static inline void gpt_set(uint32_t index, const char *name, uint64_t first,
			   uint64_t last)
{
	uint8_t *entry = gpt_entry(index);

	memset(entry, 0, 128);
	gpt_put(entry, 0, 0x0fc63daf, 4);
	gpt_put(entry, 16, 0x1234 + index, 8); /* its own GUID */
	gpt_put(entry, ENTRY_FIRST, first, 8);
	gpt_put(entry, ENTRY_LAST, last, 8);
	for (uint32_t i = 0; name[i]; i++)
		entry[ENTRY_NAME + 2 * i] = (uint8_t)name[i];
}

/* Two partitions: "root" in 40 to 79, "data" in 80 to 99. */
static inline void gpt_make(void)
{
	memset(gpt_disk, 0, sizeof gpt_disk);
	gpt_disk[0][446 + 4] = 0xee;
	gpt_disk[0][510] = 0x55;
	gpt_disk[0][511] = 0xaa;
	gpt_make_header(1, GPT_LAST, 2);
	gpt_make_header(GPT_LAST, 1, GPT_LAST - GPT_ARRAY_SECTORS);
	gpt_set(0, "root", 40, 79);
	gpt_set(3, "data", 80, 99);
	gpt_seal();
}

#endif
