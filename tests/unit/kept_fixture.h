/* SPDX-License-Identifier: MIT */
/* A guest's disk whose changes are kept on a partition, with the guest's driver
 * and the disks under it; and what each sector has, or may have. */
#ifndef TESTS_UNIT_KEPT_FIXTURE_H
#define TESTS_UNIT_KEPT_FIXTURE_H

#include "block_driver.h"

#include <arch/fake/fake.h>
#include <cmocka.h>
#include <stdlib.h>

/* Two blocks of map; the last block is short. */
#define BASE_SIZE (MIB(4) + KIB(12) + 1024)
#define MAP_BLOCKS 2
#define PLACES 24
#define CHANGES_SIZE ((1 + MAP_BLOCKS + PLACES) * OVERLAY_BLOCK)
#define MAP_FRAMES 1
#include "overlay_disk.h"

#define SECTORS (BASE_SIZE / SECTOR)
#define PLACES_AT ((1 + MAP_BLOCKS) * OVERLAY_BLOCK)
#define LEGAL_MAX 64 /* contents of a sector */
#define HOT_BLOCKS 6 /* at either end of the disk, that are written */
#define HOT_SECTORS (2 * HOT_BLOCKS * 8)

static struct virtio_block block;
static struct block_flight flights[BLOCK_FLIGHTS];
static uint32_t lines;		     /* of the log */
static void (*at_each_moment)(void); /* of a request; or NULL */

/* What may be in each hot sector after a loss of power, and what is now. */
static struct {
	uint32_t legal[LEGAL_MAX], count;
} hot[HOT_SECTORS];
static uint32_t last_tag;

void log_write(const char *format, ...)
{
	(void)format;
	lines++;
}

/* ---- contents ------------------------------------------------------------ */

/* A sector's content is told by one number. */
static inline void fill_sector(uint8_t *sector, uint32_t tag)
{
	for (uint32_t i = 0; i < SECTOR; i += 4) {
		uint32_t word = tag * 2654435761u + i * 40503u;

		memcpy(sector + i, &word, 4);
	}
}

static inline bool has_tag(const uint8_t *sector, uint32_t tag)
{
	uint8_t expected[SECTOR];

	fill_sector(expected, tag);
	return memcmp(sector, expected, SECTOR) == 0;
}

static inline uint32_t base_tag(uint64_t sector)
{
	return 0x80000000u + (uint32_t)sector;
}

static inline uint64_t hot_sector(uint32_t index)
{
	return index < HOT_SECTORS / 2 ? index : SECTORS - HOT_SECTORS + index;
}

static inline uint32_t hot_index(uint64_t sector)
{
	return (uint32_t)(sector < HOT_SECTORS / 2 ?
				  sector :
				  sector - (SECTORS - HOT_SECTORS));
}

/* ---- a machine's lives --------------------------------------------------- */

/* Returns what is wrong, as virtio_block_open(). */
static inline const char *open_it(void)
{
	const char *words = overlay_lay_out(&block.overlay, BASE_SIZE,
					    CHANGES_SIZE, map_numbers);
	bool done = false;

	memset(map_frames, 0, KIB(16));
	virtio_block_start(&block);
	for (int i = 0; i < 1000 && !done && !words; i++) {
		words = virtio_block_open(&block, &done);
		if (sent)
			come_back(ERR_NONE);
	}
	return words;
}

static inline void begin_life(void)
{
	assert_true(overlay_frames(BASE_SIZE, CHANGES_SIZE) == 1);
	ram_clear();
	ram_is_uncounted = true;
	memset(&vm, 0, sizeof vm);
	memset(&block, 0, sizeof block);
	fake_cpu_count = 1;
	slot = 2;
	vm.vcpus[0] = &first;
	vm.description.disks[1] = (struct mull_disk){
		.kind = MULL_DISK_PARTITION, .flags = MULL_DISK_PRIVATE
	};
	virtio_block_init(&vm, &block, slot, 1);
	guest_pci_add(&vm, &block.device.function);
	block.partition = &base_partition;
	block.changes = &changes_partition;
	block.flights = flights;
	block.over = true;
}

static inline void start_guest(void)
{
	guest_pci_reset(&vm);
	set_up(VERSION_1 | 1 << 28);
}

static inline int fresh(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < SECTORS; i++)
		fill_sector(base + i * SECTOR, base_tag(i));
	for (uint32_t i = 0; i < HOT_SECTORS; i++) {
		hot[i].count = 1;
		hot[i].legal[0] = base_tag(hot_sector(i));
	}
	clear_disk();
	lines = last_tag = 0;
	at_each_moment = NULL;
	begin_life();
	assert_null(open_it());
	start_guest();
	sent_count = flush_count = base_reads = 0;
	return 0;
}

/* With the machine's disks at its side. */
static inline uint8_t finish(void)
{
	while (sent) {
		assert_int_equal(ram[STATUS_AT], NONE);
		come_back(ERR_NONE);
		if (at_each_moment)
			at_each_moment();
		work();
	}
	return ram[STATUS_AT];
}

static inline uint8_t ask(uint32_t type, uint64_t sector, uint32_t length)
{
	offer(type, sector, length);
	return finish();
}

static inline void put_write(uint64_t sector, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		uint32_t at = hot_index(sector + i);

		fill_sector(ram + DATA + i * SECTOR, ++last_tag);
		assert_true(at < HOT_SECTORS && hot[at].count < LEGAL_MAX);
		hot[at].legal[hot[at].count++] = last_tag;
	}
	offer(OUT, sector, count * SECTOR);
}

static inline void write_sectors(uint64_t sector, uint32_t count)
{
	put_write(sector, count);
	assert_int_equal(finish(), OK);
}

/* All that was heard of is kept now. */
static inline void keep_all(void)
{
	for (uint32_t i = 0; i < HOT_SECTORS; i++) {
		hot[i].legal[0] = hot[i].legal[hot[i].count - 1];
		hot[i].count = 1;
	}
}

static inline void flush_it(void)
{
	assert_int_equal(ask(FLUSH, 0, 0), OK);
	keep_all();
}

/* The guest reads what was written last. */
static inline void expect_sectors(uint64_t sector, uint32_t count)
{
	assert_int_equal(ask(IN, sector, count * SECTOR), OK);
	for (uint32_t i = 0; i < count; i++) {
		uint32_t at = hot_index(sector + i);

		if (!has_tag(ram + DATA + i * SECTOR,
			     hot[at].legal[hot[at].count - 1]))
			fail_msg("sector %lu is wrong",
				 (unsigned long)(sector + i));
	}
}

static inline void expect_all(void)
{
	for (uint32_t i = 0; i < HOT_SECTORS; i += 8)
		expect_sectors(hot_sector(i), 8);
}

#endif
