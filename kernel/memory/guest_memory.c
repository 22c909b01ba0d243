/* SPDX-License-Identifier: MIT */
/*
 * Guest RAM lies in 2 MiB frames that are not mapped; each piece of a copy
 * is seen through the CPU's window.  Every range is checked whole before its
 * first byte is touched.  A bad address is the guest's mistake, so it is
 * returned and not logged: a guest could flood the log with it.
 */
#include <mullion/arch.h>
#include <mullion/bits.h>
#include <mullion/guest_memory.h>
#include <string.h>

/* The home CPU of an elastic VM may make or fill a hole meanwhile. */
static uint32_t entry_at(const struct guest_region *region, uint64_t offset)
{
	return __atomic_load_n(&region->frames[offset / FRAME_SIZE],
			       __ATOMIC_ACQUIRE);
}

static uint64_t frame_at(const struct guest_region *region, uint64_t offset)
{
	return entry_at(region, offset) & ~GUEST_HOLE;
}

static bool is_hole(const struct guest_memory *memory,
		    const struct guest_region *region, uint64_t offset)
{
	return memory->elastic && entry_at(region, offset) & GUEST_HOLE;
}

/* The region in which @at lies, with the bytes from its start; NULL: none. */
static const struct guest_region *find_region(const struct guest_memory *memory,
					      gpa_t at, uint64_t *offset)
{
	for (uint32_t i = 0; i < memory->region_count; i++) {
		const struct guest_region *region = &memory->regions[i];

		/* An address below start wraps to a huge offset: one test. */
		*offset = at.value - region->start.value;
		if (*offset < region->size)
			return region;
	}
	return NULL;
}

/* The same if there is RAM, and not a hole. */
static const struct guest_region *find(const struct guest_memory *memory,
				       gpa_t at, uint64_t *offset)
{
	const struct guest_region *region = find_region(memory, at, offset);

	return region && is_hole(memory, region, *offset) ? NULL : region;
}

bool guest_is_hole(const struct guest_memory *memory, gpa_t at)
{
	uint64_t offset;
	const struct guest_region *region = find_region(memory, at, &offset);

	return region && is_hole(memory, region, offset);
}

bool guest_is_ram(const struct guest_memory *memory, gpa_t at, size_t length)
{
	while (length) {
		uint64_t offset, room;
		const struct guest_region *region = find(memory, at, &offset);

		if (!region)
			return false;
		room = memory->elastic ? FRAME_SIZE - offset % FRAME_SIZE :
					 region->size - offset;
		if (room >= length)
			return true;
		at.value += room;
		length -= room;
		if (!at.value) /* past the last address there is */
			return false;
	}
	return true;
}

enum error guest_locate(const struct guest_memory *memory, gpa_t at,
			hpa_t *address)
{
	uint64_t offset;
	const struct guest_region *region = find(memory, at, &offset);

	if (!region)
		return ERR_BAD_ADDRESS;
	*address = hpa(frame_at(region, offset) * FRAME_SIZE +
		       offset % FRAME_SIZE);
	return ERR_NONE;
}

/*
 * Opens the window on @at, which was RAM when the access began; of @length bytes
 * there, @piece lie in the same frame.
 */
static uint8_t *show(const struct guest_memory *memory, gpa_t at, size_t length,
		     size_t *piece)
{
	uint64_t offset = 0;
	const struct guest_region *region = find_region(memory, at, &offset);
	uint64_t frame = frame_at(region, offset);
	uint8_t *window = arch_window(hpa(frame * FRAME_SIZE));

	offset %= FRAME_SIZE;
	*piece = FRAME_SIZE - offset;
	if (*piece > length)
		*piece = length;
	return window + offset;
}

/* @length bytes from @at on, in the window, by one look; NULL: it is not RAM,
 * not all of one frame, or nothing. */
static uint8_t *show_whole(const struct guest_memory *memory, gpa_t at,
			   size_t length)
{
	uint64_t offset;
	const struct guest_region *region = find_region(memory, at, &offset);
	uint32_t entry;

	if (!region || !length || length > region->size - offset ||
	    length > FRAME_SIZE - offset % FRAME_SIZE)
		return NULL;
	entry = entry_at(region, offset);
	if (memory->elastic && entry & GUEST_HOLE)
		return NULL;
	return (uint8_t *)arch_window(
		       hpa((entry & ~GUEST_HOLE) * (uint64_t)FRAME_SIZE)) +
	       offset % FRAME_SIZE;
}

enum error guest_read(const struct guest_memory *memory, gpa_t from, void *to,
		      size_t length)
{
	const uint8_t *whole = show_whole(memory, from, length);
	uint8_t *bytes = to;

	if (whole) {
		memcpy(to, whole, length);
		return ERR_NONE;
	}
	if (!guest_is_ram(memory, from, length))
		return ERR_BAD_ADDRESS;
	while (length) {
		size_t piece;
		uint8_t *guest = show(memory, from, length, &piece);

		memcpy(bytes, guest, piece);
		bytes += piece;
		from.value += piece;
		length -= piece;
	}
	return ERR_NONE;
}

enum error guest_write(const struct guest_memory *memory, gpa_t to,
		       const void *from, size_t length)
{
	uint8_t *whole = show_whole(memory, to, length);
	const uint8_t *bytes = from;

	if (whole) {
		memcpy(whole, from, length);
		return ERR_NONE;
	}
	if (!guest_is_ram(memory, to, length))
		return ERR_BAD_ADDRESS;
	while (length) {
		size_t piece;
		uint8_t *guest = show(memory, to, length, &piece);

		memcpy(guest, bytes, piece);
		bytes += piece;
		to.value += piece;
		length -= piece;
	}
	return ERR_NONE;
}

enum error guest_load_16(const struct guest_memory *memory, gpa_t at,
			 uint16_t *value)
{
	const volatile uint8_t *word = at.value % 2 ? NULL :
						      show_whole(memory, at, 2);

	if (!word)
		return ERR_BAD_ADDRESS;
	*value = *(const volatile uint16_t *)word;
	return ERR_NONE;
}

enum error guest_store_16(const struct guest_memory *memory, gpa_t at,
			  uint16_t value)
{
	volatile uint8_t *word = at.value % 2 ? NULL :
						show_whole(memory, at, 2);

	if (!word)
		return ERR_BAD_ADDRESS;
	*(volatile uint16_t *)word = value;
	return ERR_NONE;
}

enum error guest_load_8(const struct guest_memory *memory, gpa_t at,
			uint8_t *value)
{
	const volatile uint8_t *byte = show_whole(memory, at, 1);

	if (!byte)
		return ERR_BAD_ADDRESS;
	*value = *byte;
	return ERR_NONE;
}

enum error guest_store_8(const struct guest_memory *memory, gpa_t at,
			 uint8_t value)
{
	volatile uint8_t *byte = show_whole(memory, at, 1);

	if (!byte)
		return ERR_BAD_ADDRESS;
	*byte = value;
	return ERR_NONE;
}

enum error guest_exchange_8(const struct guest_memory *memory, gpa_t at,
			    uint8_t desired, uint8_t *old)
{
	volatile uint8_t *byte = show_whole(memory, at, 1);

	if (!byte)
		return ERR_BAD_ADDRESS;
	*old = __atomic_exchange_n(byte, desired, __ATOMIC_SEQ_CST);
	return ERR_NONE;
}

size_t guest_zeros(const struct guest_memory *memory, gpa_t from, size_t length)
{
	const struct guest_region *region;
	const uint64_t *words;
	size_t piece, count = 0;
	uint64_t offset;

	if (from.value % 8)
		return 0;
	region = find_region(memory, from, &offset);
	if (region && is_hole(memory, region, offset))
		return length < FRAME_SIZE - offset % FRAME_SIZE ?
			       round_down(length, 8) :
			       FRAME_SIZE - offset % FRAME_SIZE;
	if (!guest_is_ram(memory, from, 8))
		return 0;
	words = (const uint64_t *)show(memory, from, length, &piece);
	while (count < piece / 8 && words[count] == 0)
		count++;
	return count * 8;
}

enum error guest_zero(const struct guest_memory *memory, gpa_t to,
		      size_t length)
{
	if (!guest_is_ram(memory, to, length))
		return ERR_BAD_ADDRESS;
	while (length) {
		size_t piece;
		uint8_t *guest = show(memory, to, length, &piece);

		memset(guest, 0, piece);
		to.value += piece;
		length -= piece;
	}
	return ERR_NONE;
}

enum error guest_compare_swap(const struct guest_memory *memory, gpa_t at,
			      size_t size, uint64_t expected, uint64_t desired,
			      bool *swapped)
{
	uint32_t expected32 = (uint32_t)expected;
	uint8_t *guest;

	if ((size != 4 && size != 8) || at.value % size)
		return ERR_BAD_REQUEST;
	guest = show_whole(memory, at, size);
	if (!guest)
		return ERR_BAD_ADDRESS;
	if (size == 8)
		*swapped = __atomic_compare_exchange_n(
			(uint64_t *)guest, &expected, desired, false,
			__ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
	else
		*swapped = __atomic_compare_exchange_n(
			(uint32_t *)guest, &expected32, (uint32_t)desired,
			false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
	return ERR_NONE;
}
