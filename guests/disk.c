/* SPDX-License-Identifier: MIT */
/*
 * What a guest can do with its disks.  The first one is private, the second one
 * to read only, and both are of one image.  It counts its lives on the first;
 * "lives=N" resets it up to the Nth one, and "stay=1" lets it wait then.
 * "do=bench" counts instead what requests cost, as bench.c does.
 */
#include "virtio.h"

#define SECTOR 512
#define BLOCK 4096
#define LIFE_SECTOR 9 /* whose block, the second, is no longer the image's */
#define MANY KIB(64)
#define ROUNDS 1000
#define WARM_UP 5

/* VIRTIO 1.2, "Block Device" */
enum { IN = 0, OUT = 1, FLUSH = 4, DISCARD = 11 };
enum { OK = 0, IO_ERROR = 1, UNSUPPORTED = 2, NO_ANSWER = 0xee };
#define BLOCK_READ_ONLY BIT(5)

struct header {
	uint32_t type, reserved;
	uint64_t sector;
};

static struct disk {
	struct virtio_device device;
	uint64_t sectors;
	struct virtio_queue queue;
} disks[2];

static struct header header;
static volatile uint8_t answer;
static uint8_t data[MANY] __attribute__((aligned(4096)));
static uint8_t other[MANY] __attribute__((aligned(4096)));

/* ---- the driver ---------------------------------------------------------- */

static bool open_disk(struct disk *disk)
{
	if (!virtio_begin(&disk->device, 0))
		return false;
	virtio_add_queue(&disk->device, &disk->queue, 0);
	virtio_go(&disk->device);
	disk->sectors = *(volatile uint64_t *)disk->device.own;
	return true;
}

/* A chain of header, @length bytes at @bytes and the answer. */
static void prepare(struct disk *disk, uint32_t type, uint64_t sector,
		    void *bytes, uint32_t length)
{
	const struct virtio_part parts[] = {
		{ &header, sizeof header, false },
		{ bytes, length, type == IN },
		{ &answer, 1, true },
	};

	header = (struct header){ .type = type, .sector = sector };
	answer = NO_ANSWER;
	virtio_offer(&disk->queue, 0, parts, 3);
}

/* Returns the answer, or that there is none for a while. */
static uint8_t finish(struct disk *disk)
{
	uint64_t end = time_ns() + 10 * NS_PER_SECOND;
	uint32_t written;

	virtio_ring(&disk->queue);
	while (!virtio_take(&disk->queue, &written)) {
		if (virtio_status(&disk->device) & VIRTIO_STATUS_NEEDS_RESET ||
		    time_ns() > end)
			return NO_ANSWER;
		cpu_relax();
	}
	return answer;
}

static uint8_t ask(struct disk *disk, uint32_t type, uint64_t sector,
		   void *bytes, uint32_t length)
{
	prepare(disk, type, sector, bytes, length);
	return finish(disk);
}

/* ---- lives --------------------------------------------------------------- */

/* Which sectors of the disks differ, as a number: 0 none, else the sum. */
static uint64_t compare(bool *read)
{
	uint64_t different = 0;

	*read = true;
	for (uint64_t at = 0; at < disks[0].sectors; at += MANY / SECTOR) {
		uint64_t count = disks[0].sectors - at;
		uint32_t length;

		if (count > MANY / SECTOR)
			count = MANY / SECTOR;
		length = (uint32_t)count * SECTOR;
		*read &= ask(&disks[0], IN, at, data, length) == OK &&
			 ask(&disks[1], IN, at, other, length) == OK;
		for (uint64_t i = 0; i < count; i++)
			if (memcmp(data + i * SECTOR, other + i * SECTOR,
				   SECTOR))
				different += at + i;
	}
	return different;
}

static void report_hostile(void)
{
	struct disk *disk = &disks[0];
	const uint64_t end = disk->sectors;

	report(ask(disk, IN, end, data, SECTOR) == IO_ERROR &&
		       ask(disk, OUT, end - 1, data, 2 * SECTOR) == IO_ERROR &&
		       ask(disk, IN, ~0ull >> 9, data, SECTOR) == IO_ERROR,
	       "nothing lies behind the end");
	report(ask(disk, IN, 0, data, SECTOR - 1) == IO_ERROR,
	       "no part of a sector is read");
	report(ask(disk, DISCARD, 0, data, SECTOR) == UNSUPPORTED,
	       "an unknown request is told so");
	report(ask(disk, FLUSH, 0, data, 0) == OK, "a flush is done");
	report(ask(&disks[1], OUT, 0, data, SECTOR) == IO_ERROR,
	       "a disk to read only is not written");
	/* Where no memory is. */
	report(ask(disk, IN, 0, (void *)(uint64_t)MULL_GUEST_PCI_MEMORY,
		   SECTOR) == NO_ANSWER &&
		       virtio_status(&disk->device) & VIRTIO_STATUS_NEEDS_RESET,
	       "data outside of memory break the device");
	report(open_disk(disk) && ask(disk, IN, 0, data, SECTOR) == OK,
	       "a reset mends it");
}

/* Returns which life this is, from 1, and writes it down. */
static uint32_t count_life(void)
{
	static const char mark[] = "life of ";
	uint32_t life = 1;

	report(ask(&disks[0], IN, LIFE_SECTOR, data, SECTOR) == OK,
	       "the count of lives is read");
	if (!memcmp(data, mark, sizeof mark - 1)) {
		life = data[SECTOR - 1] + 1u;
		report(!memcmp(data + 8, guest_info.name,
			       sizeof guest_info.name),
		       "it is this VM's own");
	}
	memcpy(data, mark, sizeof mark - 1);
	memcpy(data + 8, guest_info.name, sizeof guest_info.name);
	data[SECTOR - 1] = (uint8_t)life;
	report(ask(&disks[0], OUT, LIFE_SECTOR, data, SECTOR) == OK,
	       "and written");
	return life;
}

static int live(void)
{
	uint64_t lives = option_number("lives", 1), different;
	uint32_t life;
	bool read;

	report(disks[0].sectors == disks[1].sectors, "both have %lu sectors",
	       disks[0].sectors);
	different = compare(&read);
	report(read, "all of them are read");
	life = count_life();
	report(different == (life == 1 ? 0 : LIFE_SECTOR),
	       "they differ where the first one was written (%lu)", different);
	report(compare(&read) == LIFE_SECTOR && read,
	       "the writing is seen, and on the first one only");
	report_hostile();
	print("disk: life %u\n", life);
	if (life < lives) {
		port_write(MULL_GUEST_RESET_PORT, MULL_GUEST_RESET_VALUE);
		spin_ns(NS_PER_SECOND);
	}
	while (option_number("stay", 0))
		sleep_ns(NS_PER_SECOND);
	return report_done();
}

/* ---- costs --------------------------------------------------------------- */

static uint64_t rounds[ROUNDS];

static void sort(uint64_t *values, size_t count)
{
	for (size_t i = 1; i < count; i++) {
		uint64_t value = values[i];
		size_t at = i;

		for (; at > 0 && values[at - 1] > value; at--)
			values[at] = values[at - 1];
		values[at] = value;
	}
}

static void tell(const char *name)
{
	uint32_t shift = (uint32_t)option_number("shift", 0);

	sort(rounds, ROUNDS);
	print("BENCH %s %lu %lu %lu\n", name, rounds[0] >> shift,
	      rounds[ROUNDS / 2] >> shift, rounds[ROUNDS - 1] >> shift);
}

/* From the bell to the end; @apart: so far apart are the places. */
static void measure(const char *name, uint32_t type, uint32_t length,
		    uint64_t apart)
{
	uint64_t sector = 0;
	uint32_t written;
	bool good = true;

	for (int i = -WARM_UP; i < ROUNDS; i++) {
		uint64_t start;

		prepare(&disks[0], type, sector, data, length);
		start = tsc_read();
		virtio_ring(&disks[0].queue);
		while (!virtio_take(&disks[0].queue, &written))
			cpu_relax();
		rounds[i < 0 ? 0 : i] = tsc_read() - start;
		good &= answer == OK;
		sector = (sector + apart) % (disks[0].sectors - MANY / SECTOR);
	}
	report(good, "%s is done", name);
	tell(name);
}

/* The bell alone: the device looks at its queue and finds nothing there. */
static void measure_bell(void)
{
	for (int i = -WARM_UP; i < ROUNDS; i++) {
		uint64_t start = tsc_read();

		virtio_ring(&disks[0].queue);
		rounds[i < 0 ? 0 : i] = tsc_read() - start;
	}
	tell("disk-doorbell");
}

static int bench(void)
{
	const uint64_t block = BLOCK / SECTOR;

	measure_bell();
	measure("disk-flush", FLUSH, 0, 0);
	measure("disk-read-4k", IN, BLOCK, block);
	measure("disk-read-64k", IN, MANY, block);
	measure("disk-write-4k", OUT, BLOCK,
		block); /* each for the first time */
	measure("disk-rewrite-4k", OUT, BLOCK, 0);
	measure("disk-write-64k", OUT, MANY, 0);
	measure("disk-reread-4k", IN, BLOCK, block);
	measure("disk-reread-64k", IN, MANY, block);
	return report_done();
}

int guest_main(void)
{
	char what[16] = "";

	option_text("do", what, sizeof what);
	for (uint32_t i = 0; i < 2; i++)
		report(virtio_find(&disks[i].device, VIRTIO_BLOCK, i) &&
			       open_disk(&disks[i]),
		       "there is disk %u", i);
	return memcmp(what, "bench", 6) ? live() : bench();
}
