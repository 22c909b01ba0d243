/* SPDX-License-Identifier: MIT */
/*
 * The balloon of a VM whose memory is elastic: pages of 4 KiB that its guest
 * lends, and the whole frames of 2 MiB that go to others for as long as all
 * pages of them are lent.  VIRTIO 1.2, "Traditional Memory Balloon Device".
 *
 * All of it is the home CPU's, but for what is atomic.
 */
#ifndef MULLION_BALLOON_H
#define MULLION_BALLOON_H

#include <mullion/bits.h>
#include <mullion/virtio.h>
#include <mullion/vm.h>
#include <stdatomic.h>

#define BALLOON_PAGE 4096 /* of the device's protocol */
#define BALLOON_PAGES (FRAME_SIZE / BALLOON_PAGE)
#define BALLOON_LEAVING_MAX 32 /* frames that leave at once */
#define BALLOON_NONE UINT32_MAX
#define BALLOON_STATS 16 /* tags that are kept; the standard has 10 */

enum balloon_state {
	BALLOON_HELD,	 /* the guest's, with the pages that it has lent */
	BALLOON_WHOLE,	 /* all of its pages are lent */
	BALLOON_LEAVING, /* not mapped any more */
	BALLOON_GONE,	 /* the pool's */
};

struct balloon {
	struct virtio_device device; /* first: one is made of the other */
	uint32_t frame_count;
	/* Of each frame: its lent pages (a bit each, only of use while there
	 * are some), how many, and enum balloon_state. */
	uint64_t (*pages)[BALLOON_PAGES / 64];
	uint16_t *counts;
	uint8_t *states;

	_Atomic uint32_t target; /* frames that the guest is to have */
	_Atomic uint32_t gone;
	_Atomic uint32_t lent; /* pages of the protocol */
	_Atomic bool waits;    /* there is no frame for what is to come back */
	_Atomic bool bound;    /* its driver asks before it uses a page again */

	/* Those that leave: their numbers in vm->frames, and in the pool. */
	uint32_t leaving[BALLOON_LEAVING_MAX];
	uint32_t leaving_count;
	uint64_t erased; /* bytes of them */
	uint32_t whole;	 /* frames that are */
	uint32_t cursor; /* where those are looked for next */
	/* vCPUs that may still know what leaves; the last one wakes the home
	 * CPU. */
	_Atomic uint32_t unseen;

	/* The one that comes back; BALLOON_NONE: none does. */
	uint32_t wanted;
	bool has_frame; /* in @frame, @cleared bytes of it are zero */
	bool restores;	/* all are to come back */
	uint32_t frame;
	uint64_t cleared;
	/* When the pool is asked again, and those that are whole are looked at
	 * again: arch_time(), or ARCH_NO_DEADLINE. */
	uint64_t fetch_at, leave_at;
	bool works; /* there is more to do at once */

	_Atomic uint32_t touched; /* frame + 1 that a vCPU needs now, or 0 */
	_Atomic bool emptied;	  /* the driver has reset the device */

	uint32_t done[2]; /* bytes of the chain in work, of each queue */
	bool has_stats_chain;
	_Atomic bool wants_stats;
	struct virtio_token stats_chain;
	uint64_t stats[BALLOON_STATS];
	uint32_t stats_known; /* bits: tags that the guest has told */
};

/* Makes and frees the balloon of @vm, which is elastic (kernel/devices/
 * virtio_balloon.c).  ERR_NO_MEMORY. */
enum error balloon_make(struct vm *vm, uint32_t slot);
void balloon_free(struct vm *vm);
/* The guest is to have so many frames from now on; service CPU. */
void balloon_set_target(struct vm *vm, uint32_t frames);
/* Has the driver tell its numbers anew; service CPU. */
void balloon_ask(struct vm *vm);

/* ---- the frames (kernel/partition/vm_balloon.c) --------------------------- */

/* The guest lends a page of its RAM: the one at @at.  ERR_BAD_ADDRESS. */
enum error balloon_lend(struct vm *vm, gpa_t at);
/* It asks for it; ERR_BUSY: not yet, but its frame is on its way. */
enum error balloon_return(struct vm *vm, gpa_t at);
/* The driver has reset the device meanwhile: no page is lent.  Under
 * vm->device_lock. */
void balloon_empty(struct vm *vm);

/*
 * vm_balloon_work - the next piece of what leaves and comes, while the VM runs
 *
 * At most some 20,000 instructions; returns whether there is more at once.
 */
bool vm_balloon_work(struct vm *vm);
/* When there is more by time alone. */
uint64_t vm_balloon_deadline(const struct vm *vm);
/* Its frames are all there, from the pool. */
void vm_balloon_begin(struct vm *vm);
/* The guest has ended and its vCPUs have left it: nothing is under way any
 * more; what is gone stays so. */
void vm_balloon_settle(struct vm *vm);
/* Before it starts again: the next piece of having all frames back; whether
 * that is done.  @waits: there are no frames for it now. */
bool vm_balloon_restore(struct vm *vm, bool *waits);
/* A vCPU reaches @at where no frame is; whether it will be there when the
 * instruction is done again. */
bool vm_balloon_touch(struct vm *vm, gpa_t at);
/* A vCPU has come by since it was asked to. */
void vm_balloon_seen(struct vm *vm);
/* Bytes that the guest has now. */
static inline uint64_t vm_memory_now(const struct vm *of)
{
	uint64_t gone = of->balloon ? atomic_load(&of->balloon->gone) : 0;

	return of->description.memory_size - gone * FRAME_SIZE;
}

#endif
