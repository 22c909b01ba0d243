/* SPDX-License-Identifier: MIT */
/* Copies by guest-virtual address: each page is translated, then copied. */
#include <mullion/bits.h>
#include <mullion/guest_walk.h>

enum error guest_walk_range(const struct guest_memory *memory,
			    const struct guest_paging *paging, gva_t linear,
			    size_t length, enum guest_access access,
			    struct guest_range *range,
			    struct guest_event *fault)
{
	if (length > GUEST_LINEAR_MAX)
		return ERR_TOO_LARGE;
	range->count = 0;
	while (length) {
		size_t room = PAGE_SIZE - linear.value % PAGE_SIZE;
		size_t piece = length < room ? length : room;
		enum error error;

		error = guest_walk(memory, paging, linear, access,
				   &range->start[range->count], fault);
		if (error)
			return error;
		range->length[range->count++] = piece;
		linear.value += piece;
		length -= piece;
	}
	return ERR_NONE;
}

enum error guest_read_linear(const struct guest_memory *memory,
			     const struct guest_paging *paging, gva_t from,
			     void *to, size_t length, struct guest_event *fault)
{
	struct guest_range range;
	uint8_t *bytes = to;
	enum error error = guest_walk_range(memory, paging, from, length,
					    ACCESS_READ, &range, fault);

	if (error)
		return error;
	for (unsigned i = 0; i < range.count; i++) {
		error = guest_read(memory, range.start[i], bytes,
				   range.length[i]);
		if (error)
			return error;
		bytes += range.length[i];
	}
	return ERR_NONE;
}

enum error guest_fetch(const struct guest_memory *memory,
		       const struct guest_paging *paging, gva_t from,
		       uint8_t *bytes, size_t *length,
		       struct guest_event *fault)
{
	size_t room = PAGE_SIZE - from.value % PAGE_SIZE;
	size_t first = room < INSTRUCTION_MAX ? room : INSTRUCTION_MAX;
	size_t rest = INSTRUCTION_MAX - first;
	struct guest_event unused;
	gpa_t at;
	enum error error = guest_walk(memory, paging, from, ACCESS_FETCH, &at,
				      fault);

	if (!error)
		error = guest_read(memory, at, bytes, first);
	if (error)
		return error;
	*length = first;
	from.value += first;
	/* The instruction may end before the second page: then it is no fault
	 * that there is none, and its accessed flag is set a little early. */
	if (rest &&
	    !guest_walk(memory, paging, from, ACCESS_FETCH, &at, &unused) &&
	    !guest_read(memory, at, bytes + first, rest))
		*length += rest;
	return ERR_NONE;
}
