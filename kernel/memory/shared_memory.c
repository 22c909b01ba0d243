/* SPDX-License-Identifier: MIT */
/*
 * Shared memories: whose they are, when they are zeroed, and how one peer
 * rings another.  A record lives as long as a VM names it, so that who rings
 * needs no lock: it sets a bit in the record and wakes the other's home CPU,
 * which raises the interrupt.  Nothing of the other VM is touched.
 */
#include <mullion/arch.h>
#include <mullion/guest.h>
#include <mullion/log.h>
#include <mullion/manage.h>
#include <mullion/page.h>
#include <mullion/shared_port.h>
#include <mullion/vm.h>
#include <string.h>

#define PAGES ((sizeof(struct shared_memory) + PAGE_SIZE - 1) / PAGE_SIZE)

static_assert(SHARED_COUNT_MAX <= UINT16_MAX - FRAME_SHARED, "owners");
static_assert(MULL_VM_MAX <= 64, "a bit for each peer");

/* By number; NULL: it is free.  The service CPU's; before it runs, the boot
 * CPU's. */
static struct shared_memory *memories[SHARED_COUNT_MAX];
static uint32_t memory_count;

static frame_owner owner_of(const struct shared_memory *memory)
{
	return (frame_owner)(FRAME_SHARED + memory->number);
}

/* ---- made and destroyed -------------------------------------------------- */

static void destroy(struct shared_memory *memory)
{
	for (uint32_t i = 0; i < memory->frame_count; i++)
		frame_give(owner_of(memory), memory->frames[i]);
	memories[memory->number] = NULL;
	memory_count--;
	page_free(memory, PAGES);
}

static struct shared_memory *make(const struct mull_shared *wanted)
{
	struct shared_memory *memory;
	uint32_t number = 0;

	while (number < SHARED_COUNT_MAX && memories[number])
		number++;
	if (number == SHARED_COUNT_MAX)
		return NULL;
	memory = page_alloc(PAGES);
	if (!memory)
		return NULL;
	memcpy(memory->name, wanted->name, sizeof memory->name);
	memory->number = number;
	memory->size = wanted->size;
	memories[number] = memory;
	memory_count++;
	while (memory->frame_count * FRAME_SIZE < memory->size) {
		uint32_t *frame = &memory->frames[memory->frame_count];

		if (frame_take(owner_of(memory), 1, frame) != ERR_NONE) {
			destroy(memory);
			return NULL;
		}
		memory->frame_count++;
	}
	manage_notify(); /* to be zeroed */
	return memory;
}

/* One that nobody names any more only waits to be zeroed. */
static struct shared_memory *find(const struct mull_shared *wanted)
{
	size_t length = strlen(wanted->name) + 1;

	for (uint32_t i = 0; i < SHARED_COUNT_MAX; i++)
		if (memories[i] && memories[i]->members &&
		    !memcmp(memories[i]->name, wanted->name, length))
			return memories[i];
	return make(wanted);
}

struct shared_memory *shared_memory_join(const struct mull_shared *wanted,
					 uint32_t home, uint32_t *peer)
{
	struct shared_memory *memory = find(wanted);

	if (!memory)
		return NULL;
	ASSERT(memory->size == wanted->size); /* it was checked */
	*peer = (uint32_t)__builtin_ctzll(~memory->members);
	memory->members |= BIT(*peer);
	atomic_store(&memory->peers[*peer].rung, 0);
	atomic_store(&memory->peers[*peer].home, home + 1);
	return memory;
}

/* Its frames go back to the pool when they are zero. */
void shared_memory_leave(struct shared_memory *memory, uint32_t peer)
{
	atomic_store(&memory->peers[peer].home, 0);
	atomic_store(&memory->peers[peer].rung, 0); /* nobody hears it now */
	memory->members &= ~BIT(peer);
	manage_notify();
}

uint64_t shared_memory_peers(const struct shared_memory *memory)
{
	uint64_t peers = 0;

	for (uint32_t i = 0; i < MULL_VM_MAX; i++)
		if (atomic_load(&memory->peers[i].home))
			peers |= BIT(i);
	return peers;
}

/* ---- zeroed -------------------------------------------------------------- */

bool shared_memory_hold(struct shared_memory *memory, uint32_t peer)
{
	bool there;

	lock_take(&memory->lock);
	there = memory->users || memory->clean;
	if (there) {
		memory->users |= BIT(peer);
		memory->clean = false;
	}
	lock_give(&memory->lock);
	return there;
}

void shared_memory_release(struct shared_memory *memory, uint32_t peer)
{
	lock_take(&memory->lock);
	memory->users &= ~BIT(peer);
	lock_give(&memory->lock);
	manage_notify();
}

static bool is_dirty(struct shared_memory *memory)
{
	bool dirty;

	lock_take(&memory->lock);
	dirty = !memory->users && !memory->clean;
	lock_give(&memory->lock);
	return dirty;
}

/* Nobody can begin to use it before it is told to be clean. */
static void zero_piece(struct shared_memory *memory)
{
	uint64_t piece = memory->size < FRAME_ZERO_PIECE ? memory->size :
							   FRAME_ZERO_PIECE;

	frame_zero(memory->frames[memory->zeroed / FRAME_SIZE],
		   memory->zeroed % FRAME_SIZE, piece);
	memory->zeroed += piece;
	if (memory->zeroed < memory->size)
		return;
	memory->zeroed = 0;
	lock_take(&memory->lock);
	memory->clean = true;
	lock_give(&memory->lock);
}

bool shared_memory_clean(void)
{
	uint32_t left = memory_count;

	for (uint32_t i = 0; left; i++) {
		struct shared_memory *memory = memories[i];

		if (!memory)
			continue;
		left--;
		if (is_dirty(memory)) {
			zero_piece(memory);
			return true;
		}
		if (!memory->members)
			destroy(memory);
	}
	return false;
}

/* ---- doorbells ----------------------------------------------------------- */

enum error shared_memory_ring(struct shared_memory *memory, uint32_t target)
{
	uint32_t number = target >> 16, doorbell = target & 0xffff, home;
	struct shared_peer *peer;

	if (number >= MULL_VM_MAX || doorbell >= MULL_GUEST_DOORBELLS)
		return ERR_NOT_FOUND;
	peer = &memory->peers[number];
	home = atomic_load(&peer->home);
	if (!home)
		return ERR_NOT_FOUND;
	/* A guest that rings without end wakes the other no more often than
	 * that one can hear. */
	if (!atomic_fetch_or(&peer->rung, 1u << doorbell))
		arch_kick(home - 1);
	return ERR_NONE;
}

uint32_t shared_memory_heard(struct shared_memory *memory, uint32_t peer)
{
	struct shared_peer *self = &memory->peers[peer];

	return atomic_load(&self->rung) ? atomic_exchange(&self->rung, 0) : 0;
}

/* ---- for the audit ------------------------------------------------------- */

static struct shared_memory *owned_by(frame_owner owner)
{
	uint32_t number = (uint32_t)owner - FRAME_SHARED;

	return owner >= FRAME_SHARED && number < SHARED_COUNT_MAX ?
		       memories[number] :
		       NULL;
}

const char *shared_memory_name(frame_owner owner)
{
	const struct shared_memory *memory = owned_by(owner);

	return memory ? memory->name : NULL;
}

bool shared_memory_allows(const struct vm *vm, frame_owner owner,
			  const struct mapping *mapping)
{
	const struct shared_memory *memory = owned_by(owner);
	uint64_t offset = mapping->to.value % FRAME_SIZE;

	/* In a frame that it does not fill, the rest is for nobody. */
	if (!memory ||
	    (memory->size < FRAME_SIZE &&
	     (offset >= memory->size || mapping->size > memory->size - offset)))
		return false;
	for (uint32_t i = 0; vm->shared && i < vm->shared->count; i++)
		if (vm->shared->ports[i].memory == memory)
			return vm->shared->ports[i].writable ||
			       !mapping->writable;
	return false;
}
