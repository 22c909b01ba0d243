/* SPDX-License-Identifier: MIT */
/*
 * GUID Partition Tables.  UEFI Specification 2.10, "GUID Partition Table (GPT)
 * Disk Layout".  The disk is hostile: guests write to it, and whoever had it
 * before.
 */
#ifndef MULLION_GPT_H
#define MULLION_GPT_H

#include <mullion/error.h>
#include <stdbool.h>
#include <stdint.h>

#define GPT_NAME_MAX 37	       /* 36 ASCII characters and a zero */
#define GPT_PARTITIONS_MAX 128 /* of one disk */
#define GPT_GUID 16

struct gpt_partition {
	char name[GPT_NAME_MAX];
	uint8_t guid[GPT_GUID]; /* its own, which no other one has */
	uint64_t first, last;	/* sectors, both included */
	const char *refusal;	/* why it cannot be used, in words; or NULL */
};

struct gpt {
	bool from_backup;  /* the first table is damaged */
	bool backup_fails; /* the first one is good, the other is damaged */
	uint32_t count;	   /* of partitions that are in use */
	uint32_t left_out; /* in use, too: more than GPT_PARTITIONS_MAX */
	struct gpt_partition partitions[GPT_PARTITIONS_MAX];
};

/* Where the table is read from. */
struct gpt_source {
	uint32_t sector_size; /* bytes: 512 or 4096 */
	uint64_t sector_count;
	/* Whole sectors to @buffer, which has room for GPT_BUFFER bytes. */
	enum error (*read)(void *context, uint64_t sector, void *to,
			   uint32_t count);
	void *context;
	void *buffer; /* aligned to 8 */
};
#define GPT_BUFFER 4096

/*
 * gpt_read - find the partitions of a disk
 * @words: says what is wrong
 *
 * Takes the table at the disk's end when the one at its beginning is damaged.
 * Returns ERR_NOT_FOUND when there is no table, ERR_BAD_CHECKSUM when both are
 * damaged, or what reading failed with.  A partition that makes no sense is
 * there, with its refusal.
 */
enum error gpt_read(const struct gpt_source *source, struct gpt *gpt,
		    const char **words);

#endif
