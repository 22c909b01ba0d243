/* SPDX-License-Identifier: MIT */
/*
 * Memory that several VMs have in common because each of them names it, and
 * the doorbells between them.
 *
 * Its frames belong to it alone, from when the first VM that names it is made
 * to when the last is destroyed.  It is zero when the first of them starts,
 * keeps what is written while one of them is not at rest, and is zeroed when
 * all rest.
 */
#ifndef MULLION_SHARED_MEMORY_H
#define MULLION_SHARED_MEMORY_H

#include <mullion/address.h>
#include <mullion/bits.h>
#include <mullion/error.h>
#include <mullion/frame_pool.h>
#include <mullion/lock.h>
#include <mullion/package.h>

#define SHARED_COUNT_MAX (MULL_VM_MAX * MULL_SHARED_MAX)
#define SHARED_FRAMES_MAX (MULL_SHARED_SIZE_MAX / FRAME_SIZE)

struct shared_peer {
	_Atomic uint32_t home; /* its CPU + 1; 0: there is no such peer */
	_Atomic uint32_t rung; /* its doorbells that it has not heard yet */
};

struct shared_memory {
	char name[MULL_LABEL_MAX];
	uint32_t number; /* among all; with FRAME_SHARED, its frames' owner */
	uint64_t size;	 /* bytes; the rest of its last frame is nobody's */
	uint32_t frame_count;
	uint32_t frames[SHARED_FRAMES_MAX];
	uint64_t members; /* a bit for each peer; the service CPU's */
	struct shared_peer peers[MULL_VM_MAX];

	/* Guards the two below; no other lock inside. */
	struct lock lock;
	uint64_t users;	 /* peers that are not at rest */
	bool clean;	 /* all zero, and nobody uses it */
	uint64_t zeroed; /* bytes; the service CPU's */
};

struct vm;

/*
 * shared_memory_join, shared_memory_leave - one more VM, or one less, names it
 * @home: the VM's home CPU, for its doorbells
 * @peer: gets its number: the lowest that is free, for as long as it stays
 *
 * The first that joins makes it; the last that leaves has it destroyed, once
 * it is zeroed.  Boot CPU, later the service CPU.  NULL: there is no memory.
 */
struct shared_memory *shared_memory_join(const struct mull_shared *wanted,
					 uint32_t home, uint32_t *peer);
void shared_memory_leave(struct shared_memory *memory, uint32_t peer);

/* A bit for each peer; any CPU whose VM is one. */
uint64_t shared_memory_peers(const struct shared_memory *memory);

/* Whether it is there for @peer to start, zeroed or in use; else it is soon.
 * Its home CPU. */
bool shared_memory_hold(struct shared_memory *memory, uint32_t peer);
/* It rests: no vCPU of it enters again with what is mapped now. */
void shared_memory_release(struct shared_memory *memory, uint32_t peer);

/* Zeroes a piece of what nobody uses any more; whether there is more to do.
 * Service CPU. */
bool shared_memory_clean(void);

/*
 * shared_memory_ring - rings a doorbell
 * @target: peer << 16 | doorbell
 *
 * Any CPU whose VM is a peer; takes no lock.  ERR_NOT_FOUND: there is no such
 * peer or doorbell.  One that rings already is not rung again.
 */
enum error shared_memory_ring(struct shared_memory *memory, uint32_t target);
/* Takes what was rung for @peer: a bit for each doorbell.  Its home CPU. */
uint32_t shared_memory_heard(struct shared_memory *memory, uint32_t peer);
static inline bool shared_memory_rings(const struct shared_memory *memory,
				       uint32_t peer)
{
	return atomic_load(&memory->peers[peer].rung);
}

/*
 * shared_memory_allows - whether @vm may reach what @mapping shows it of a
 *                        frame that is @owner's
 *
 * For the audit, which compares page tables with what VMs name; service CPU.
 */
bool shared_memory_allows(const struct vm *vm, frame_owner owner,
			  const struct mapping *mapping);
/* Its name; NULL: @owner is none.  Service CPU. */
const char *shared_memory_name(frame_owner owner);

#endif
