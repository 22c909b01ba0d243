/* SPDX-License-Identifier: MIT */
/*
 * The map of an overlay lies in memory as a whole.  Whatever the partition says
 * is checked when it is read: afterwards each entry names a place that there
 * is, and no two the same.
 */
#include <mullion/arch.h>
#include <mullion/crc32.h>
#include <mullion/overlay.h>
#include <stddef.h>
#include <string.h>

#define WORD_BITS 64
#define SEEK_WORDS 1024 /* of a step */

_Static_assert(sizeof(struct overlay_header) == 64, "on-disk format");
_Static_assert(FRAME_SIZE % (OVERLAY_RUN * OVERLAY_BLOCK) == 0,
	       "a run of map blocks lies in one frame");

static uint32_t map_blocks(uint64_t base_size)
{
	uint64_t blocks = (base_size + OVERLAY_BLOCK - 1) / OVERLAY_BLOCK;

	return (uint32_t)((blocks + OVERLAY_ENTRIES - 1) / OVERLAY_ENTRIES);
}

/* As many as could ever be used. */
static uint32_t places_of(uint64_t base_size, uint64_t size)
{
	uint64_t blocks = (base_size + OVERLAY_BLOCK - 1) / OVERLAY_BLOCK;
	uint64_t before = 1 + (uint64_t)map_blocks(base_size);
	uint64_t all = size / OVERLAY_BLOCK;

	if (all <= before)
		return 0;
	return (uint32_t)(all - before < blocks ? all - before : blocks);
}

/* Bytes of whole words. */
static uint64_t bits_size(uint64_t bits)
{
	return (bits + WORD_BITS - 1) / WORD_BITS * sizeof(uint64_t);
}

static uint64_t map_size(uint64_t base_size)
{
	return (uint64_t)map_blocks(base_size) * OVERLAY_BLOCK;
}

uint32_t overlay_frames(uint64_t base_size, uint64_t size)
{
	uint64_t bytes = map_size(base_size) +
			 bits_size(places_of(base_size, size)) +
			 bits_size(map_blocks(base_size));

	return (uint32_t)((bytes + FRAME_SIZE - 1) / FRAME_SIZE);
}

const char *overlay_lay_out(struct overlay *overlay, uint64_t base_size,
			    uint64_t size, const uint32_t *frames)
{
	*overlay = (struct overlay){ .base_size = base_size,
				     .places = places_of(base_size, size),
				     .next = 1,
				     .frames = frames };
	if (base_size > OVERLAY_BASE_MAX)
		return "its base is larger than 1 TiB";
	if (!overlay->places)
		return "its overlay's partition has no room for the map of "
		       "its base";
	overlay->map_blocks = map_blocks(base_size);
	overlay->used_at = map_size(base_size);
	overlay->dirty_at = overlay->used_at + bits_size(overlay->places);
	return NULL;
}

/* ---- memory -------------------------------------------------------------- */

static hpa_t frame_at(const struct overlay *overlay, uint64_t offset)
{
	return hpa((uint64_t)overlay->frames[offset / FRAME_SIZE] * FRAME_SIZE);
}

/* Valid until this CPU's next look through the same. */
static void *change(const struct overlay *overlay, uint64_t offset)
{
	return (uint8_t *)arch_window(frame_at(overlay, offset)) +
	       offset % FRAME_SIZE;
}

static const void *look(const struct overlay *overlay, uint64_t offset)
{
	return (const uint8_t *)arch_view(frame_at(overlay, offset)) +
	       offset % FRAME_SIZE;
}

static uint64_t word_of(uint64_t at, uint64_t bit)
{
	return at + bit / WORD_BITS * sizeof(uint64_t);
}

static bool get_bit(const struct overlay *overlay, uint64_t at, uint64_t bit)
{
	const uint64_t *word = look(overlay, word_of(at, bit));

	return *word & 1ull << bit % WORD_BITS;
}

/* Returns what it was. */
static bool set_bit(const struct overlay *overlay, uint64_t at, uint64_t bit,
		    bool value)
{
	uint64_t *word = change(overlay, word_of(at, bit));
	uint64_t mask = 1ull << bit % WORD_BITS;
	bool before = *word & mask;

	*word = value ? *word | mask : *word & ~mask;
	return before;
}

static uint32_t place_of(const struct overlay *overlay, uint64_t block)
{
	const uint32_t *entry = look(overlay, block * sizeof *entry);

	return *entry;
}

/* ---- what was found on the disk ------------------------------------------ */

bool overlay_is_empty(const void *bytes, size_t size)
{
	const uint8_t *at = bytes;

	/* Each byte is as the one behind it. */
	return !*at && memcmp(at, at + 1, size - 1) == 0;
}

static uint32_t crc_of(const struct overlay_header *header)
{
	return crc32_ieee(0, header, offsetof(struct overlay_header, crc));
}

void overlay_make_header(const struct overlay *overlay, const uint8_t *guid,
			 void *block)
{
	struct overlay_header header = {
		.magic = OVERLAY_MAGIC,
		.version = OVERLAY_VERSION,
		.block_size = OVERLAY_BLOCK,
		.base_size = overlay->base_size,
		.map_blocks = overlay->map_blocks,
	};

	memcpy(header.base_guid, guid, sizeof header.base_guid);
	header.crc = crc_of(&header);
	memset(block, 0, OVERLAY_BLOCK);
	memcpy(block, &header, sizeof header);
}

const char *overlay_check_header(const struct overlay *overlay,
				 const uint8_t *guid, const void *block)
{
	struct overlay_header header;

	memcpy(&header, block, sizeof header);
	if (header.magic != OVERLAY_MAGIC)
		return OVERLAY_NOT_EMPTY;
	if (header.crc != crc_of(&header))
		return "its overlay's header is damaged";
	if (header.version != OVERLAY_VERSION ||
	    header.block_size != OVERLAY_BLOCK ||
	    !overlay_is_empty(header.reserved, sizeof header.reserved))
		return "its overlay is of a version that is not known here";
	if (memcmp(header.base_guid, guid, sizeof header.base_guid) != 0)
		return "its overlay was made over another base: that "
		       "partition's GUID is not this one's";
	if (header.base_size != overlay->base_size ||
	    header.map_blocks != overlay->map_blocks)
		return "its overlay was made when its base had another size";
	return NULL;
}

hpa_t overlay_map_at(const struct overlay *overlay, uint32_t index)
{
	uint64_t offset = (uint64_t)index * OVERLAY_BLOCK;

	return hpa(frame_at(overlay, offset).value + offset % FRAME_SIZE);
}

const char *overlay_take_map(struct overlay *overlay, uint32_t index)
{
	uint64_t first = index * OVERLAY_ENTRIES;
	uint64_t blocks = (overlay->base_size + OVERLAY_BLOCK - 1) /
			  OVERLAY_BLOCK;
	/* What is changed meanwhile is seen beside it. */
	const uint32_t *entries = look(overlay, first * sizeof *entries);

	for (uint32_t i = 0; i < OVERLAY_ENTRIES; i++) {
		uint32_t place = entries[i];

		if (!place)
			continue;
		if (place > overlay->places || first + i >= blocks)
			return "its overlay's map names what is not there";
		if (set_bit(overlay, overlay->used_at, place - 1, true))
			return "its overlay's map names a place twice";
		overlay->used++;
	}
	return NULL;
}

bool overlay_map_is_empty(const struct overlay *overlay, uint32_t index)
{
	return overlay_is_empty(look(overlay, (uint64_t)index * OVERLAY_BLOCK),
				OVERLAY_BLOCK);
}

/* ---- where things are ---------------------------------------------------- */

uint64_t overlay_offset(const struct overlay *overlay, uint32_t place)
{
	return ((uint64_t)overlay->map_blocks + place) * OVERLAY_BLOCK;
}

bool overlay_find(const struct overlay *overlay, uint64_t at, uint64_t *length,
		  uint64_t *offset)
{
	uint64_t block = at / OVERLAY_BLOCK, run = 1;
	uint64_t within = at % OVERLAY_BLOCK, end = within + *length;
	uint32_t place = place_of(overlay, block);

	while (run < OVERLAY_RUN && run * OVERLAY_BLOCK < end &&
	       place_of(overlay, block + run) ==
		       (place ? place + (uint32_t)run : 0))
		run++;
	if (end > run * OVERLAY_BLOCK)
		*length = run * OVERLAY_BLOCK - within;
	if (place)
		*offset = overlay_offset(overlay, place) + within;
	return place;
}

bool overlay_seek(struct overlay *overlay)
{
	for (uint32_t words = 0; overlay->next <= overlay->places; words++) {
		uint64_t bit = overlay->next - 1, free;
		const uint64_t *word = look(overlay,
					    word_of(overlay->used_at, bit));

		free = ~*word >> bit % WORD_BITS;
		if (free) {
			overlay->next += (uint32_t)__builtin_ctzll(free);
			return true;
		}
		if (words == SEEK_WORDS)
			return false;
		overlay->next += (uint32_t)(WORD_BITS - bit % WORD_BITS);
	}
	return true;
}

uint32_t overlay_free(const struct overlay *overlay, uint32_t most)
{
	uint32_t count = 0;

	while (count < most && overlay->next + count <= overlay->places &&
	       !get_bit(overlay, overlay->used_at, overlay->next + count - 1))
		count++;
	return count;
}

void overlay_map(struct overlay *overlay, uint64_t block, uint32_t place)
{
	uint32_t *entry = change(overlay, block * sizeof *entry);
	uint32_t index = (uint32_t)(block / OVERLAY_ENTRIES);

	*entry = place;
	set_bit(overlay, overlay->used_at, place - 1, true);
	overlay->used++;
	if (!set_bit(overlay, overlay->dirty_at, index, true))
		overlay->dirty++;
	if (index < overlay->dirty_from)
		overlay->dirty_from = index;
}

/* ---- what is to be written ----------------------------------------------- */

uint32_t overlay_dirty(const struct overlay *overlay, uint32_t *first)
{
	uint32_t at = (uint32_t)round_down(overlay->dirty_from, WORD_BITS);
	uint32_t count = 1;
	const uint64_t *word;

	do
		word = look(overlay, word_of(overlay->dirty_at, at));
	while (!*word && (at += WORD_BITS));
	*first = at + (uint32_t)__builtin_ctzll(*word);
	while ((*first + count) % OVERLAY_RUN &&
	       *first + count < overlay->map_blocks &&
	       get_bit(overlay, overlay->dirty_at, *first + count))
		count++;
	return count;
}

void overlay_clean(struct overlay *overlay, uint32_t first, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		if (set_bit(overlay, overlay->dirty_at, first + i, false))
			overlay->dirty--;
	overlay->dirty_from = first + count;
}
