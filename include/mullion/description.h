/* SPDX-License-Identifier: MIT */
/*
 * The one checker of VM descriptions: mullctl runs it over a manifest, the
 * hypervisor over a package.  Pure code (kernel/partition/description.c),
 * compiled into both.
 */
#ifndef MULLION_DESCRIPTION_H
#define MULLION_DESCRIPTION_H

#include <mullion/cache.h>
#include <mullion/package.h>
#include <stdbool.h>
#include <stddef.h>

/* Which word of the manifest a complaint is about. */
enum mull_field {
	MULL_FIELD_NAME,
	MULL_FIELD_MEMORY,
	MULL_FIELD_CPUS,
	MULL_FIELD_KERNEL,
	MULL_FIELD_INITRD,
	MULL_FIELD_COMMAND_LINE,
	MULL_FIELD_POLICY, /* on-poweroff, on-reset, on-crash */
	MULL_FIELD_CONSOLE,
	MULL_FIELD_FLAGS,
	MULL_FIELD_MACHINE_CPUS, /* of the machine, not of a VM */
	MULL_FIELD_MACHINE_MEMORY,
	MULL_FIELD_SERVICE_CPU,
	MULL_FIELD_SERIAL,
	MULL_FIELD_MACHINE_FLAGS,
	MULL_FIELD_MITIGATIONS,
	MULL_FIELD_UPLINK, /* of the machine, too; the rest of a VM */
	MULL_FIELD_PLATFORM,
	MULL_FIELD_MODULES,
	MULL_FIELD_DISKS,
	MULL_FIELD_NETWORKS,
	MULL_FIELD_SHARED,
	MULL_FIELD_VSOCK,
	MULL_FIELD_WATCHDOG,
	MULL_FIELD_CHANNEL,   /* of the machine */
	MULL_FIELD_SCHEDULES, /* of the machine, and a VM's part in them */
	MULL_FIELD_CACHE,
};

#define MULL_COMPLAINT_MAX 160 /* bytes of words, with the final zero */
#define MULL_MACHINE_ITSELF (-1)

/* What is known of the machine; a 0 is not checked against. */
struct mull_limits {
	uint32_t cpu_count;   /* processors that are there */
	uint64_t memory_free; /* bytes that VMs can have in all */
	bool bad_ones_count;  /* VMs with mistakes take names, CPUs and memory
				as well: for showing all mistakes in one run */
	const struct cache_plan *cache; /* what is left of it; NULL: not
					   known */
};

/* The management channel's MAC address, which comes of its IPv4 address. */
void mull_channel_mac(const struct mull_machine *machine, uint8_t mac[6]);

/* Bytes of the machine's memory that @vm takes for itself while it runs: RAM,
 * and room for what is written to its disks; at most UINT64_MAX. */
uint64_t mull_vm_memory(const struct mull_vm *vm);

/* Bytes of room that hold @changes bytes of a disk of @size bytes, and where
 * each of its blocks is. */
uint64_t mull_disk_room(uint64_t size, uint64_t changes);

/* Called once for each mistake, with words such as "needs CPU 3, but the
 * machine has 2"; @vm is an index, or MULL_MACHINE_ITSELF. */
typedef void mull_complain(void *context, int vm, enum mull_field field,
			   const char *words);

/* How many network devices @vm has, and the address of each: the manifest's,
 * or one that is made from the VM's name and the device's number. */
uint32_t mull_nic_count(const struct mull_vm *vm);
void mull_nic_mac(const struct mull_vm *vm, uint32_t index, uint8_t mac[6]);

/* How many schedules the machine has, and whether @vm has a part in one. */
uint32_t mull_schedule_count(const struct mull_machine *machine);
bool mull_is_scheduled(const struct mull_vm *vm);

/* Of a VM whose devices have come and gone: as the checker wants them, without
 * holes.  A network device keeps its address. */
void mull_close_up_disks(struct mull_vm *vm);
void mull_close_up_nics(struct mull_vm *vm);

/*
 * mull_check_machine, mull_check_vms - find every mistake in descriptions
 * @bad: one entry a VM, true for one that is already known to be bad and is
 *       passed over; set to true for each VM with a mistake.  Where two VMs
 *       collide (a name, a CPU), the later one is at fault, and a VM that is
 *       already bad takes nothing from the others.
 * @image_kinds: enum mull_image_kind of each image, 0 for one that is damaged
 *
 * Returns the number of mistakes.  Every field is treated as hostile: strings
 * may lack their end, counts may be anything.
 */
size_t mull_check_machine(const struct mull_machine *machine,
			  const struct mull_limits *limits,
			  mull_complain *complain, void *context);
size_t mull_check_vms(const struct mull_machine *machine,
		      const struct mull_vm *vms, size_t vm_count,
		      const uint32_t *image_kinds, size_t image_count,
		      const struct mull_limits *limits, bool *bad,
		      mull_complain *complain, void *context);

/* Bytes of the pool that all of them take; what they share, once. */
uint64_t mull_memory_needed(const struct mull_vm *vms, size_t vm_count);

#endif
