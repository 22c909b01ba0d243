/* SPDX-License-Identifier: MIT */
#include <mullion/bits.h>
#include <mullion/frame_pool.h>
#include <mullion/lock.h>
#include <mullion/log.h>

static struct {
	struct lock lock;
	frame_owner *owners;
	uint32_t count;
	uint32_t free;
	uint32_t lowest; /* no frame below is free: where a search begins */
} pool;

/* The frames that lie whole within @range: [*first, *end). */
static void whole_frames(const struct mull_memory_range *range, uint64_t *first,
			 uint64_t *end)
{
	*first = round_up(range->start, FRAME_SIZE) >> FRAME_SHIFT;
	*end = (range->start + range->size) >> FRAME_SHIFT;
	if (*end < *first)
		*end = *first;
}

static bool is_pool_memory(const struct mull_memory_range *range)
{
	return range->kind == MULL_MEMORY_USABLE &&
	       range->start + range->size > range->start &&
	       range->start + range->size <= BIT(46);
}

uint32_t frame_pool_span(const struct mull_memory_range *ranges, uint32_t count)
{
	uint64_t first, end, span = 0;

	for (uint32_t i = 0; i < count; i++) {
		if (!is_pool_memory(&ranges[i]))
			continue;
		whole_frames(&ranges[i], &first, &end);
		if (end > first && end > span)
			span = end;
	}
	return span;
}

hpa_t frame_pool_first(const struct mull_memory_range *ranges, uint32_t count,
		       uint32_t frames)
{
	uint64_t first, end;

	for (uint32_t i = 0; i < count; i++) {
		if (!is_pool_memory(&ranges[i]))
			continue;
		whole_frames(&ranges[i], &first, &end);
		if (first == 0)
			first = 1;
		if (end > first && end - first >= frames)
			return hpa(first << FRAME_SHIFT);
	}
	return hpa(0);
}

void frame_pool_start(const struct mull_memory_range *ranges, uint32_t count,
		      frame_owner *owners, uint32_t frame_count)
{
	uint64_t first, end;

	pool.owners = owners;
	pool.count = frame_count;
	pool.free = 0;
	pool.lowest = 0;
	for (uint32_t i = 0; i < count; i++) {
		if (!is_pool_memory(&ranges[i]))
			continue;
		whole_frames(&ranges[i], &first, &end);
		for (uint64_t frame = first; frame < end; frame++) {
			/* Frame 0 holds the firmware's and the processors'
			 * real-mode pages. */
			if (frame == 0 || frame >= frame_count ||
			    owners[frame] != FRAME_ABSENT)
				continue;
			owners[frame] = FRAME_FREE;
			pool.free++;
		}
	}
}

static bool run_is_free(uint32_t first, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		if (pool.owners[first + i] != FRAME_FREE)
			return false;
	return true;
}

enum error frame_take(frame_owner owner, uint32_t count, uint32_t *first)
{
	enum error error = ERR_NO_MEMORY;

	lock_take(&pool.lock);
	for (uint32_t at = round_down(pool.lowest, count);
	     pool.count >= count && at <= pool.count - count; at += count) {
		if (!run_is_free(at, count))
			continue;
		for (uint32_t i = 0; i < count; i++)
			pool.owners[at + i] = owner;
		pool.free -= count;
		if (count == 1)
			pool.lowest = at + 1;
		*first = at;
		error = ERR_NONE;
		break;
	}
	lock_give(&pool.lock);
	return error;
}

void frame_give(frame_owner owner, uint32_t frame)
{
	lock_take(&pool.lock);
	ASSERT(frame < pool.count && pool.owners[frame] == owner);
	pool.owners[frame] = FRAME_FREE;
	pool.free++;
	if (frame < pool.lowest)
		pool.lowest = frame;
	lock_give(&pool.lock);
}

void frame_claim(frame_owner owner, uint32_t frame)
{
	lock_take(&pool.lock);
	ASSERT(frame < pool.count && pool.owners[frame] == FRAME_FREE);
	pool.owners[frame] = owner;
	pool.free--;
	lock_give(&pool.lock);
}

uint64_t frames_free(void)
{
	return pool.free;
}

frame_owner frame_owner_of(uint32_t frame)
{
	return frame < pool.count ? pool.owners[frame] : FRAME_ABSENT;
}
