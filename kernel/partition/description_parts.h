/* SPDX-License-Identifier: MIT */
/* What the parts of the checker of descriptions share. */
#ifndef KERNEL_PARTITION_DESCRIPTION_PARTS_H
#define KERNEL_PARTITION_DESCRIPTION_PARTS_H

#include <mullion/description.h>

/* One run of it. */
struct check {
	const struct mull_machine *machine;
	const struct mull_vm *vms;
	const uint32_t *image_kinds;
	size_t image_count;
	const struct mull_limits *limits;
	bool *bad;
	mull_complain *complain;
	void *context;
	size_t mistakes;
	struct cache_plan cache;
	uint32_t cache_class; /* of the VM that is checked; 0: none */
};

/* Adds a mistake; words by format, as log_write. */
void check_complain(struct check *check, int vm, enum mull_field field,
		    const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* Brings @bytes to the largest unit that leaves no rest, and says which. */
const char *check_unit(uint64_t *bytes);
/* The kind of image @index; 0 when it is damaged or not there. */
uint32_t check_image_kind(const struct check *check, uint32_t index);
/* Whether one of @size bytes is not 0. */
bool check_any_set(const void *bytes, size_t size);
/* Whether @name, of @room bytes with its end, has letters, and good ones. */
bool check_is_name(const char *name, size_t room);
/* Whether VM @other has its name, CPUs and memory for itself. */
bool check_counts(const struct check *check, int other);

/* Whether @text has an end within @room bytes, and can be shown before it;
 * "@what is longer than ...". */
void check_text(struct check *check, int vm, enum mull_field field,
		const char *what, const char *text, size_t room);

/* The modules of a VM (description_modules.c). */
void check_modules(struct check *check, int vm);
/* The channel's place on the network, and whether it has @mac on @network
 * (description_channel.c). */
void check_channel(struct check *check);
bool check_is_channel_mac(const struct check *check, const char *network,
			  const uint8_t mac[6]);
/* The machine's uplink, and the networks of a VM
 * (description_networks.c). */
void check_uplink(struct check *check);
void check_networks(struct check *check, int vm);
/* The sockets of a VM (description_vsock.c). */
void check_vsock(struct check *check, int vm);
/* The CPUs of a VM, by themselves and beside those before it
 * (description_cpus.c). */
uint32_t check_processors(const struct check *check);
void check_cpus(struct check *check, int vm);
void check_cpu_overlaps(struct check *check, int vm);
/* The machine's schedules, and a VM's part in them
 * (description_schedules.c). */
void check_schedules(struct check *check);
void check_slots(struct check *check, int vm);
/* A slot that both have, as "slot 2 of schedule normal"; false: none. */
bool check_slot_overlap(const struct check *check, const struct mull_vm *one,
			const struct mull_vm *other, char *words, size_t room);
/* The devices of a VM (description_devices.c). */
void check_devices(struct check *check, int vm);

/* Its part of the cache: before the first VM of @count, for each, and when all
 * is known of that VM (description_cache.c). */
void check_cache_begin(struct check *check, size_t count);
void check_cache(struct check *check, int vm);
void check_cache_end(struct check *check, int vm);

/* What it shares with others, by itself and against those before it, and the
 * bytes of whole frames that those before it do not need
 * (description_shared.c). */
void check_shared(struct check *check, int vm);
void check_sharers(struct check *check, int vm);
uint64_t check_shared_bytes(const struct check *check, int vm);

#endif
