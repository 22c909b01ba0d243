/* SPDX-License-Identifier: MIT */
/*
 * A copy of the log at a place of memory that is the same in each run: what a
 * warm reset leaves of it tells the next run why this one ended.  A reset drops
 * the processors' caches, so each line is written through them.  What is found
 * there may be anything, and was perhaps written over by the firmware.
 */
#include "service.h"
#include <mullion/arch.h>
#include <mullion/bits.h>
#include <mullion/crc32.h>
#include <mullion/page.h>
#include <string.h>

/* In frame 0, which is nobody's, above what real mode and old devices use. */
#define RECORD_ADDRESS 0x180000
#define RECORD_MAGIC 0x31474f4c4c4c554dull /* "MULLLOG1" */

struct log_record {
	uint64_t magic;
	uint64_t head; /* bytes ever logged; the last ones are in @bytes */
	uint32_t size; /* of @bytes */
	uint32_t crc;  /* of all before */
	char bytes[LOG_RING_SIZE];
};

static struct log_record *record; /* NULL: there is no place for it */
static uint64_t recorded;	  /* of the log's bytes */

static char *previous; /* its lines by age; NULL: none were left */
static size_t previous_length;

static uint32_t header_crc(const struct log_record *of)
{
	return crc32_ieee(0, of, offsetof(struct log_record, crc));
}

void log_record_write(const char *lines, uint64_t head)
{
	if (!record)
		return;
	if (head - recorded > LOG_RING_SIZE)
		recorded = head - LOG_RING_SIZE;
	for (; recorded < head; recorded++)
		record->bytes[recorded % LOG_RING_SIZE] =
			lines[recorded % LOG_RING_SIZE];
	record->head = head;
	record->crc = header_crc(record);
}

/* Copies what an earlier run has left, from where its oldest line begins. */
static void take_previous(void)
{
	uint64_t head = record->head, at;

	if (record->magic != RECORD_MAGIC || record->size != LOG_RING_SIZE ||
	    record->crc != header_crc(record))
		return;
	previous = page_alloc(LOG_RING_SIZE / PAGE_SIZE);
	if (!previous)
		return;
	at = head > LOG_RING_SIZE ? head - LOG_RING_SIZE : 0;
	if (at)
		while (at < head && record->bytes[at++ % LOG_RING_SIZE] != '\n')
			;
	for (; at < head; at++) {
		char byte = record->bytes[at % LOG_RING_SIZE];

		previous[previous_length++] = byte == '\n' ?
						      byte :
						      log_printable(byte);
	}
}

static bool is_usable(const struct mull_boot_info *boot)
{
	for (uint32_t i = 0; i < boot->memory_count; i++) {
		const struct mull_memory_range *range = &boot->memory[i];

		if (range->kind == MULL_MEMORY_USABLE &&
		    range->start <= RECORD_ADDRESS &&
		    range->start + range->size >=
			    RECORD_ADDRESS + sizeof *record)
			return true;
	}
	return false;
}

void log_record_start(const struct mull_boot_info *boot)
{
	if (!is_usable(boot) ||
	    arch_map(hpa(RECORD_ADDRESS), round_up(sizeof *record, PAGE_SIZE),
		     ARCH_MAP_FRAMEBUFFER) != ERR_NONE) {
		log_write("log: no place where a warm reset would leave it");
		return;
	}
	record = arch_direct(hpa(RECORD_ADDRESS));
	take_previous();
	record->magic = RECORD_MAGIC;
	record->size = LOG_RING_SIZE;
	if (previous_length)
		log_write("log: %lu bytes are left of the run before",
			  previous_length);
}

size_t log_read_previous(uint64_t *position, char *to, size_t room)
{
	size_t left;

	if (*position > previous_length)
		*position = previous_length;
	left = previous_length - *position;
	if (room > left)
		room = left;
	if (room)
		memcpy(to, previous + *position, room);
	return room;
}
