/* SPDX-License-Identifier: MIT */
/*
 * Writes numbered records to its first disk for ever, some at once, then
 * flushes, and tells up to which number all is kept: who kills it at any moment
 * knows what must be there.  Each sector tells its record's number and up to
 * which one the disk had said before that all is flushed.
 *
 * Record N lies at place N modulo the number of places; "size=N" is a record's
 * length in sectors.  At its start it looks whether all is there, and goes on
 * behind what was flushed: of what comes later, some may be missing.
 */
#include "virtio.h"

#define SECTOR 512
#define SECTORS_MAX 8
#define AT_ONCE 8 /* records */
#define PARTS 3	  /* of a request's chain */
#define MAGIC 0x6c62617275644d21ul
#define TELL_NS (5 * NS_PER_MS)

/* VIRTIO 1.2, "Block Device" */
enum { IN = 0, OUT = 1, FLUSH = 4 };
enum { OK = 0, NO_ANSWER = 0xee };
#define BLOCK_FLUSH BIT(9)

struct sector {
	uint64_t magic, number, flushed;
	uint32_t index; /* in its record */
	uint32_t adler; /* RFC 1950, of all of it, this field being 0 */
	uint64_t data[60];
};
_Static_assert(sizeof(struct sector) == SECTOR, "a sector is whole");

struct header {
	uint32_t type, reserved;
	uint64_t sector;
};

static struct virtio_device disk;
static struct virtio_queue queue;
static struct header headers[AT_ONCE];
static volatile uint8_t answers[AT_ONCE];
static struct sector records[AT_ONCE][SECTORS_MAX]
	__attribute__((aligned(4096)));
static uint32_t size; /* sectors of a record */
static uint64_t places;

/* ---- requests ------------------------------------------------------------ */

static void offer(uint32_t slot, uint32_t type, uint64_t sector,
		  uint32_t sectors)
{
	const struct virtio_part parts[PARTS] = {
		{ &headers[slot], sizeof headers[slot], false },
		{ records[slot], sectors * SECTOR, type == IN },
		{ &answers[slot], 1, true },
	};

	headers[slot] = (struct header){ .type = type, .sector = sector };
	answers[slot] = NO_ANSWER;
	virtio_offer(&queue, (uint16_t)(slot * PARTS), parts, PARTS);
}

/* Waits for @count that were offered; whether all went well. */
static bool finish(uint32_t count)
{
	uint64_t end = time_ns() + 60 * NS_PER_SECOND;
	uint32_t written;
	bool good = true;

	virtio_ring(&queue);
	for (uint32_t came = 0; came < count;) {
		if (virtio_take(&queue, &written))
			came++;
		else if (time_ns() > end)
			return false;
		else
			cpu_relax();
	}
	for (uint32_t i = 0; i < count; i++)
		good &= answers[i] == OK;
	return good;
}

/* ---- records ------------------------------------------------------------- */

static uint32_t adler(const struct sector *sector)
{
	const uint8_t *bytes = (const uint8_t *)sector;
	uint32_t low = 1, high = 0;

	for (uint32_t i = 0; i < SECTOR; i++) {
		low += bytes[i];
		high += low;
	}
	return high % 65521 << 16 | low % 65521;
}

static void fill(struct sector *record, uint64_t number, uint64_t flushed)
{
	for (uint32_t i = 0; i < size; i++) {
		record[i] = (struct sector){ .magic = MAGIC,
					     .number = number,
					     .flushed = flushed,
					     .index = i };
		for (uint32_t at = 0; at < 60; at++)
			record[i].data[at] = (number + i) *
					     (0x9e3779b97f4a7c15ul + at);
		record[i].adler = adler(&record[i]);
	}
}

static bool is_good(const struct sector *sector, uint32_t index)
{
	struct sector copy = *sector;

	copy.adler = 0;
	return sector->magic == MAGIC && sector->index == index &&
	       sector->adler == adler(&copy);
}

/* The last record up to @number that lies at @place; 0: none does. */
static uint64_t last_at(uint64_t place, uint64_t number)
{
	uint64_t back = (number + places - place) % places;

	return number > back ? number - back : 0;
}

struct found {
	uint64_t last, flushed; /* the highest numbers */
	uint64_t wrong;		/* sectors */
};

/* Twice: at first for the numbers, then whether all below is there. */
static bool look(struct found *found, bool judge)
{
	for (uint64_t place = 0; place < places; place++) {
		uint64_t least = last_at(place, found->flushed);

		offer(0, IN, place * size, size);
		if (!finish(1))
			return false;
		for (uint32_t i = 0; i < size; i++) {
			const struct sector *it = &records[0][i];
			bool good = is_good(it, i);

			if (judge && least)
				found->wrong += !good || it->number < least ||
						it->number % places != place;
			if (good && it->number > found->last)
				found->last = it->number;
			if (good && it->flushed > found->flushed)
				found->flushed = it->flushed;
		}
	}
	return true;
}

static bool write_and_flush(uint64_t *number, uint64_t *flushed)
{
	uint32_t count = 1 + (uint32_t)(*number * 7 % AT_ONCE);

	for (uint32_t i = 0; i < count; i++) {
		++*number;
		fill(records[i], *number, *flushed);
		offer(i, OUT, *number % places * size, size);
	}
	if (!finish(count))
		return false;
	offer(0, FLUSH, 0, 0);
	if (!finish(1))
		return false;
	*flushed = *number;
	return true;
}

static bool open_disk(void)
{
	if (!virtio_find(&disk, VIRTIO_BLOCK, 0) ||
	    !virtio_begin(&disk, BLOCK_FLUSH))
		return false;
	virtio_add_queue(&disk, &queue, 0);
	virtio_go(&disk);
	size = (uint32_t)option_number("size", SECTORS_MAX);
	if (!size || size > SECTORS_MAX)
		return false;
	places = *(volatile uint64_t *)disk.own / size;
	return places > AT_ONCE;
}

int guest_main(void)
{
	struct found found = { .last = 0 };
	uint64_t number, told = 0;

	report(open_disk(), "there is a disk that flushes");
	report(look(&found, false) && look(&found, true), "it is read");
	report(!found.wrong, "what was flushed is there (%lu sectors are not)",
	       found.wrong);
	print("durable: life after %lu, of which %lu were flushed\n",
	      found.last, found.flushed);
	number = found.flushed;
	do {
		if (!write_and_flush(&number, &found.flushed)) {
			report(false, "records behind %lu are written", number);
			return report_done();
		}
		if (time_ns() - told > TELL_NS) {
			print("durable: flushed %lu\n", found.flushed);
			told = time_ns();
		}
	} while (console_read() != 'q');
	return report_done();
}
