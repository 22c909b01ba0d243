/* SPDX-License-Identifier: MIT */
/*
 * The machine's disks and the GPT partitions on them.  Who has a partition
 * sends requests from any CPU; the service CPU cuts them into commands, gives
 * those to the drivers and calls back.  A request always ends, with an error
 * if need be: a disk that does not answer is reset, and given up at last.
 */
#ifndef MULLION_BLOCK_H
#define MULLION_BLOCK_H

#include <mullion/address.h>
#include <mullion/error.h>
#include <mullion/package.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define BLOCK_DEVICES_MAX 8
#define BLOCK_SEGMENTS_MAX 128 /* of a request */
#define BLOCK_SLOTS 32	       /* commands that a device works on at once */

struct block_device;

/* A part of a disk: first a GPT partition, but also the whole. */
struct block_partition {
	struct block_device *device;
	char name[MULL_PARTITION_MAX];
	uint8_t guid[16];    /* as its GPT has it */
	uint64_t first;	     /* sector of the device */
	uint64_t size;	     /* bytes, whole sectors of the device */
	const char *refusal; /* why nobody may have it, in words; or NULL */
	uint32_t users;	     /* that have taken it */
	bool written;	     /* the one user may write */
};

/* Bytes of the machine's memory, of RAM: the device reads or writes them by
 * itself, wherever they are. */
struct block_segment {
	hpa_t at;
	uint32_t length; /* bytes, not 0 */
};

enum block_operation {
	BLOCK_READ,
	BLOCK_WRITE,
	/* What was written and has ended before is kept over a loss of power. */
	BLOCK_FLUSH,
};

/*
 * The sender's, and untouched by it until it is done; so are its segments, and
 * the memory that they name: that is given to nobody else before.
 */
struct block_request {
	struct block_partition *partition;
	enum block_operation operation;
	uint64_t offset; /* bytes from the partition's start: whole sectors */
	const struct block_segment *segments; /* together, whole sectors */
	uint32_t segment_count;
	void (*done)(struct block_request *request); /* on the service CPU */
	void *context;				     /* the sender's */

	enum error error; /* when it is done */

	/* kernel/storage/block.c's own */
	struct block_request *next;
	uint64_t sector; /* of the device, of the next command */
	uint32_t segment, segment_done;
	uint32_t running; /* commands */
};

/*
 * block_send - have @request done
 *
 * Any CPU; takes no lock.  Ends with
 *   ERR_BAD_REQUEST  it is not within its partition, or not whole sectors, or
 *                    its segments are not aligned, or it writes to a disk or
 *                    for a user that may not
 *   ERR_DEVICE       the disk says that it failed, or has been given up
 *   ERR_TIMEOUT      the disk did not answer and was reset
 */
void block_send(struct block_request *request);

/*
 * block_take - get the partition @name for one's own use
 * @write: nobody else may have it meanwhile; otherwise all read it
 * @words: says why not
 *
 * Boot or service CPU.  Returns ERR_NOT_FOUND, ERR_BUSY, or ERR_UNSUPPORTED
 * when nobody may have it.
 */
enum error block_take(const char *name, bool write,
		      struct block_partition **partition, const char **words);
void block_give(struct block_partition *partition);

/* ---- disks and their drivers ---------------------------------------------- */

/* Some sectors on end, within what the device takes at once. */
struct block_command {
	enum block_operation operation;
	uint64_t sector;
	uint32_t sectors;
	const struct block_segment *segments;
	uint32_t segment_count;
};

/* Called by the service CPU, and by the boot CPU at start; each does at most
 * some 20,000 instructions. */
struct block_driver {
	/* Begins @command as number @slot; ERR_BUSY: it has no room now. */
	enum error (*start)(struct block_device *device, uint32_t slot,
			    const struct block_command *command);
	/* Looks for what has ended, and goes on with a reset. */
	void (*poll)(struct block_device *device);
	/*
	 * Something went wrong; @ready is false already.  Begins to stop the
	 * device; when it is sure not to touch memory any more, poll() calls
	 * block_lost(), and it is made ready again, or given up.
	 */
	void (*reset)(struct block_device *device);
};

/* What a driver tells of its disk. */
struct block_device {
	const struct block_driver *driver;
	char name[8];	       /* "nvme0" */
	char model[41];	       /* in words */
	uint32_t sector_size;  /* bytes: 512 or 4096 */
	uint64_t sector_count; /* at most 2^48 bytes of them */
	uint32_t command_max;  /* bytes of one command */
	uint32_t segments_max; /* segments of one */
	uint32_t slots;	       /* commands at once, at most BLOCK_SLOTS */
	uint32_t alignment;    /* of a segment's address, a power of two */
	bool whole_pages; /* between segments there are only bounds of pages */
	bool write_cache; /* what is written may be lost until a flush */
	bool read_only;
	bool ready;	 /* takes commands */
	bool dead;	 /* and never will again */
	bool interrupts; /* one has come: they can be relied on */

	/* kernel/storage/block.c's own */
	struct block_partition whole;
	struct block_request *first_waiting, *last_waiting;
	struct {
		struct block_request *request; /* NULL: free */
		uint64_t since;		       /* arch_time() */
	} slot[BLOCK_SLOTS];
	uint32_t running; /* slots in use */
	/* Resets since the last command that went well; then it is given up. */
	uint32_t failures;
	struct block_segment cut[BLOCK_SEGMENTS_MAX];
};

/* At start: there is @device, of which all but @ready is told.  Returns
 * ERR_UNSUPPORTED when that cannot be right, ERR_NO_MEMORY for one too many. */
enum error block_add(struct block_device *device);
/* Command @slot, which runs, has ended. */
void block_ended(struct block_device *device, uint32_t slot, enum error error);
/* It did what it must not, or nothing: says so in the log, and begins a
 * reset. */
void block_reset(struct block_device *device, const char *why);
#define BLOCK_FAILURES_MAX 3
/* The device has been stopped; all that ran ends with @error. */
void block_lost(struct block_device *device, enum error error);
/* It has been stopped and is of no use: says so in the log. */
void block_give_up(struct block_device *device, const char *why);

/* ---- the service's round --------------------------------------------------- */

/* Finds all disks and their partitions, by waiting.  Boot CPU. */
void storage_start(void);
/* One bounded round on the service CPU; whether there is more to do at once. */
bool block_poll(void);
/* When the next round must be, as far as time alone says it. */
uint64_t block_deadline(void);
/* Reads @count sectors to @to, which is the hypervisor's, by waiting: at start,
 * before anything else is sent. */
enum error block_read_now(struct block_device *device, uint64_t sector,
			  void *to, uint32_t count);

/* For those who show them: NULL behind the last one. */
struct block_device *block_device_at(uint32_t index);
const struct block_partition *block_partition_at(uint32_t index);
/* Partition @partition is on a disk; at start. */
enum error block_partition_add(const struct block_partition *partition);

#endif
