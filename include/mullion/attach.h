/* SPDX-License-Identifier: MIT */
/*
 * Disks and network devices that come to a VM and go, one at a time.  The
 * service CPU begins and ends it, since partitions and switches are its own;
 * the home CPU does what lies between, since the VM's memory and bus are.
 */
#ifndef MULLION_ATTACH_H
#define MULLION_ATTACH_H

#include <mullion/block.h>
#include <mullion/error.h>
#include <mullion/load.h>
#include <mullion/package.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct vm;
struct virtio_block;
struct virtio_net;

enum attach_step {
	ATTACH_IDLE,
	/* Home CPU. */
	ATTACH_TAKE,   /* frames of its room */
	ATTACH_CLEAR,  /* they are zeroed */
	ATTACH_HASH,   /* its image is checked */
	ATTACH_PLUG,   /* the guest is told */
	ATTACH_UNPLUG, /* the guest is told, or it is pulled out */
	ATTACH_EJECT,  /* the guest lets go of it, and what flies lands */
	ATTACH_ERASE,
	/* Service CPU. */
	ATTACH_FLUSH,  /* the machine's disk keeps what was written */
	ATTACH_SETTLE, /* partition or switch are free again */
};

struct attachment {
	_Atomic uint32_t step; /* enum attach_step: whose it is to go on */
	bool going;
	_Atomic bool pull; /* without asking the guest */
	uint32_t index;	   /* of the disk or network device */
	struct virtio_block *disk;
	struct virtio_net *net; /* NULL: it is a disk */
	uint64_t at;		/* bytes of its room that are zero */
	struct load load;
	struct block_request flush;
	bool flushed;
	/* Why the last one could not come, or went not as it should; NULL.
	 * What it was: @words_net, @index. */
	const char *words;
	bool words_net;
};

/*
 * vm_attach_disk, vm_attach_nic - give @vm a device, as number @index
 *
 * There is none of that number, nothing else is under way, and the description
 * has been checked with it; the VM has it when the step is ATTACH_IDLE again.
 * Service CPU.  Errors with words: ERR_NO_MEMORY, or as block_take().
 */
enum error vm_attach_disk(struct vm *vm, uint32_t index,
			  const struct mull_disk *disk, const char **words);
enum error vm_attach_nic(struct vm *vm, uint32_t index,
			 const struct mull_nic *nic, const char **words);

/* Takes it away again: disk @index, or network device @index for @nic.
 * Nothing else is under way.  Service CPU. */
void vm_detach(struct vm *vm, bool nic, uint32_t index, bool pull);
/* The guest has not let go of it yet: asks it again, or pulls it out.  False:
 * it is beyond that. */
bool vm_detach_again(struct vm *vm, bool pull);

/* The rest is the service CPU's: it does that in its round. */
void attach_hand_over(struct vm *vm);
void attach_settle(void);

/* The next piece of the home CPU's; whether there is more to do at once. */
bool vm_attach_work(struct vm *vm);

#endif
