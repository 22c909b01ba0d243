/* SPDX-License-Identifier: MIT */
/* How much memory a guest is to have, where it is elastic. */
#include "request.h"
#include <mullion/balloon.h>
#include <mullion/frame_pool.h>
#include <string.h>

static_assert(MULL_BALLOON_STATS == BALLOON_STATS,
	      "one is filled as the other");

/* What comes back must be there now; who takes it meanwhile is waited for. */
static enum error set(struct vm *vm, uint64_t bytes, struct answer *answer)
{
	uint64_t least = vm->description.memory_least * FRAME_SIZE;
	uint64_t now = vm_memory_now(vm), free = frames_free() * FRAME_SIZE;

	if (bytes % FRAME_SIZE || bytes < least ||
	    bytes > vm->description.memory_size)
		return answer_words(answer, ERR_BAD_REQUEST,
				    "its memory can be %lu to %lu MiB, in "
				    "steps of 2 MiB",
				    least / MIB(1),
				    vm->description.memory_size / MIB(1));
	if (vm->state != MULL_VM_RUNNING)
		return answer_wrong_state(answer, vm);
	if (bytes > now && bytes - now > free)
		return answer_words(answer, ERR_NO_MEMORY,
				    "%lu MiB more are needed, and %lu MiB are "
				    "free",
				    (bytes - now) / MIB(1), free / MIB(1));
	balloon_set_target(vm, (uint32_t)(bytes / FRAME_SIZE));
	return ERR_NONE;
}

static void fill(struct vm *vm, struct mull_balloon *record)
{
	const struct balloon *balloon = vm->balloon;

	record->size = vm->description.memory_size;
	record->least = vm->description.memory_least * FRAME_SIZE;
	record->target = atomic_load(&balloon->target) * FRAME_SIZE;
	record->now = vm_memory_now(vm);
	record->lent = (uint64_t)atomic_load(&balloon->lent) * BALLOON_PAGE;
	record->flags = (atomic_load(&balloon->bound) ? MULL_BALLOON_DRIVEN :
							0) |
			(atomic_load(&balloon->waits) ? MULL_BALLOON_WAITS : 0);
	lock_take(&vm->device_lock);
	record->known = balloon->stats_known;
	memcpy(record->stats, balloon->stats, sizeof record->stats);
	lock_give(&vm->device_lock);
}

enum error request_balloon(const struct asked *asked, struct answer *answer)
{
	struct vm *vm = asked->vm;
	enum error error = ERR_NONE;

	if (!vm->balloon)
		return answer_words(answer, ERR_UNSUPPORTED,
				    "the memory of %.31s is not elastic",
				    vm->description.name);
	if (asked->argument != MULL_BALLOON_LOOK)
		error = set(vm, asked->argument, answer);
	if (error)
		return error;
	if (vm->state == MULL_VM_RUNNING)
		balloon_ask(vm);
	fill(vm, answer_add(answer, sizeof(struct mull_balloon)));
	return ERR_NONE;
}
