/* SPDX-License-Identifier: MIT */
/*
 * A table is a header and, elsewhere, its array of entries, each with a CRC;
 * the disk has one at either end.  No partition may reach one of them: who has
 * it could change what the others are.
 */
#include <mullion/bits.h>
#include <mullion/crc32.h>
#include <mullion/gpt.h>
#include <stddef.h>
#include <string.h>

#define GPT_SIGNATURE 0x5452415020494645ull /* "EFI PART" */
#define GPT_REVISION 0x00010000
#define GPT_SECTORS_MIN 6  /* MBR, two tables, and one to use */
#define GPT_FIRST_HEADER 1 /* sector; before it is an MBR */
#define GPT_ENTRY_MIN 128
#define GPT_ARRAY_MAX KIB(256) /* bytes; 16 KiB is what all tools make */
#define GPT_NAME_UNITS 36

/* "Legacy Master Boot Record (MBR)" */
#define MBR_SIGNATURE_AT 510
#define MBR_SIGNATURE 0xaa55
#define MBR_RECORD(number) (446 + 16 * (number))
#define MBR_TYPE 4 /* in a record */
#define MBR_TYPE_PROTECTIVE 0xee

/* "GPT Header" */
struct gpt_header {
	uint64_t signature;
	uint32_t revision, size, crc, reserved;
	uint64_t here, other; /* sectors of this header and the other one */
	uint64_t first_usable, last_usable;
	uint8_t disk_guid[16];
	uint64_t entries; /* sector */
	uint32_t entry_count, entry_size, entries_crc;
} __attribute__((packed));
_Static_assert(sizeof(struct gpt_header) == 92, "UEFI, 'GPT Header'");

/* "GPT Partition Entry" */
struct gpt_entry {
	uint64_t type[2]; /* both 0: not in use */
	uint8_t unique[GPT_GUID];
	uint64_t first, last, attributes;
	uint16_t name[GPT_NAME_UNITS]; /* UTF-16 */
};
_Static_assert(sizeof(struct gpt_entry) == 128, "UEFI, 'GPT Partition Entry'");

static uint64_t array_sectors(const struct gpt_source *source,
			      const struct gpt_header *header)
{
	uint64_t bytes = (uint64_t)header->entry_count * header->entry_size;

	return (bytes + source->sector_size - 1) / source->sector_size;
}

static bool is_usable(const struct gpt_header *header, uint64_t sector)
{
	return sector >= header->first_usable && sector <= header->last_usable;
}

/* Whether both tables and the usable sectors lie apart, within the disk. */
static bool is_laid_out(const struct gpt_source *source,
			const struct gpt_header *header)
{
	uint64_t array = array_sectors(source, header);
	uint64_t end = source->sector_count;
	uint64_t last_header = header->here > header->other ? header->here :
							      header->other;

	if (header->first_usable > header->last_usable ||
	    header->last_usable >= end ||
	    header->first_usable <= GPT_FIRST_HEADER + array ||
	    is_usable(header, header->here) || is_usable(header, header->other))
		return false;
	/* The second array lies before the second header. */
	if (last_header <= header->last_usable ||
	    last_header - header->last_usable <= array)
		return false;
	return header->entries > GPT_FIRST_HEADER && header->entries < end &&
	       array <= end - header->entries &&
	       (header->entries > header->last_usable ||
		header->entries + array <= header->first_usable);
}

/* What is wrong with the header in @sector, which is copied; NULL: nothing. */
static const char *check_header(const struct gpt_source *source, void *sector,
				uint64_t here, struct gpt_header *header)
{
	uint32_t crc = 0;

	memcpy(header, sector, sizeof *header);
	if (header->signature != GPT_SIGNATURE)
		return "there is no GPT header";
	if (header->revision != GPT_REVISION)
		return "the GPT is of another version";
	if (header->size < sizeof *header || header->size > source->sector_size)
		return "the GPT header's size is wrong";
	memcpy((uint8_t *)sector + offsetof(struct gpt_header, crc), &crc,
	       sizeof crc);
	if (crc32_ieee(0, sector, header->size) != header->crc)
		return "the GPT header's CRC-32 is wrong";
	if (header->here != here)
		return "the GPT header is of another sector";
	if (header->entry_size < GPT_ENTRY_MIN ||
	    header->entry_size > source->sector_size ||
	    header->entry_size & (header->entry_size - 1) ||
	    header->entry_count == 0 ||
	    header->entry_count > GPT_ARRAY_MAX / header->entry_size)
		return "the GPT's entries have a wrong number or size";
	if (!is_laid_out(source, header))
		return "the GPT says that its sectors can be used";
	return NULL;
}

/* The name in ASCII; false: it has other characters, which become '?'. */
static bool take_name(const struct gpt_entry *entry, char *name)
{
	uint32_t length = 0;
	bool ascii = true;

	for (; length < GPT_NAME_UNITS && entry->name[length]; length++) {
		uint16_t unit = entry->name[length];
		bool good = unit >= ' ' && unit <= '~';

		name[length] = good ? (char)unit : '?';
		ascii &= good;
	}
	name[length] = 0;
	return ascii;
}

static void add(const struct gpt_header *header, const struct gpt_entry *entry,
		struct gpt *gpt)
{
	struct gpt_partition *partition = &gpt->partitions[gpt->count];

	if (!entry->type[0] && !entry->type[1])
		return;
	if (gpt->count == GPT_PARTITIONS_MAX) {
		gpt->left_out++;
		return;
	}
	gpt->count++;
	*partition = (struct gpt_partition){ .first = entry->first,
					     .last = entry->last };
	memcpy(partition->guid, entry->unique, sizeof partition->guid);
	if (!take_name(entry, partition->name))
		partition->refusal = "its name is not ASCII";
	else if (!partition->name[0])
		partition->refusal = "it has no name";
	if (entry->first > entry->last || entry->first < header->first_usable ||
	    entry->last > header->last_usable)
		partition->refusal = "it is not where partitions may be";
}

/* Who would have one of two that overlap could change the other. */
static void refuse_overlaps(struct gpt *gpt)
{
	for (uint32_t i = 0; i < gpt->count; i++)
		for (uint32_t j = i + 1; j < gpt->count; j++) {
			struct gpt_partition *a = &gpt->partitions[i];
			struct gpt_partition *b = &gpt->partitions[j];

			if (a->first <= b->last && b->first <= a->last)
				a->refusal = b->refusal =
					"it overlaps another one";
		}
}

/* Walks over the array; @gpt may be NULL, to look at its CRC only. */
static enum error read_entries(const struct gpt_source *source,
			       const struct gpt_header *header, struct gpt *gpt,
			       const char **words)
{
	uint64_t left = (uint64_t)header->entry_count * header->entry_size;
	uint64_t sector = header->entries;
	uint32_t crc = 0;
	struct gpt_entry entry;

	while (left) {
		uint32_t piece = left < GPT_BUFFER ? (uint32_t)left :
						     GPT_BUFFER;
		uint32_t sectors = (uint32_t)round_up(piece,
						      source->sector_size) /
				   source->sector_size;
		enum error error = source->read(source->context, sector,
						source->buffer, sectors);

		if (error) {
			*words = "its GPT cannot be read";
			return error;
		}
		crc = crc32_ieee(crc, source->buffer, piece);
		for (uint32_t at = 0; gpt && at < piece;
		     at += header->entry_size) {
			memcpy(&entry, (uint8_t *)source->buffer + at,
			       sizeof entry);
			add(header, &entry, gpt);
		}
		left -= piece;
		sector += sectors;
	}
	if (crc == header->entries_crc)
		return ERR_NONE;
	*words = "the CRC-32 of the GPT's entries is wrong";
	return ERR_BAD_CHECKSUM;
}

/* The whole table whose header is in sector @here. */
static enum error read_table(const struct gpt_source *source, uint64_t here,
			     struct gpt_header *header, struct gpt *gpt,
			     const char **words)
{
	const char *wrong;
	enum error error = source->read(source->context, here, source->buffer,
					1);

	if (error) {
		*words = "its GPT cannot be read";
		return error;
	}
	wrong = check_header(source, source->buffer, here, header);
	if (wrong) {
		*words = wrong;
		return header->signature == GPT_SIGNATURE ? ERR_BAD_CHECKSUM :
							    ERR_NOT_FOUND;
	}
	return read_entries(source, header, gpt, words);
}

/* "Protective MBR": without one, what looks like a table is what is left of a
 * table. */
static bool is_protected(const struct gpt_source *source)
{
	const uint8_t *mbr = source->buffer;
	bool found = false;

	if (source->read(source->context, 0, source->buffer, 1) ||
	    (mbr[MBR_SIGNATURE_AT] | mbr[MBR_SIGNATURE_AT + 1] << 8) !=
		    MBR_SIGNATURE)
		return false;
	for (uint32_t i = 0; i < 4; i++)
		found |= mbr[MBR_RECORD(i) + MBR_TYPE] == MBR_TYPE_PROTECTIVE;
	return found;
}

enum error gpt_read(const struct gpt_source *source, struct gpt *gpt,
		    const char **words)
{
	uint64_t end = source->sector_count - 1;
	const char *backup_words;
	struct gpt_header header, backup;
	enum error error;

	memset(gpt, 0, sizeof *gpt);
	*words = "it has no protective MBR";
	if (source->sector_count < GPT_SECTORS_MIN || !is_protected(source))
		return ERR_NOT_FOUND;
	error = read_table(source, GPT_FIRST_HEADER, &header, gpt, words);
	if (!error) {
		/* A disk that has grown has it before its end. */
		gpt->backup_fails = header.other >= source->sector_count ||
				    read_table(source, header.other, &backup,
					       NULL,
					       &backup_words) != ERR_NONE ||
				    backup.entries_crc != header.entries_crc;
	} else {
		memset(gpt, 0, sizeof *gpt);
		if (read_table(source, end, &backup, gpt, &backup_words)) {
			memset(gpt, 0, sizeof *gpt);
			return error;
		}
		gpt->from_backup = true;
	}
	refuse_overlaps(gpt);
	return ERR_NONE;
}
