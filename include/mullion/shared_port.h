/* SPDX-License-Identifier: MIT */
/*
 * What one VM has of a shared memory: its place there, its rights and its end
 * of the doorbells, shown to it as a PCI device and by hypercalls.
 */
#ifndef MULLION_SHARED_PORT_H
#define MULLION_SHARED_PORT_H

#include <mullion/guest_memory.h>
#include <mullion/guest_pci.h>
#include <mullion/shared_memory.h>

struct shared_port {
	struct pci_function function; /* an ivshmem device */
	struct shared_memory *memory;
	uint32_t peer; /* the VM's number there */
	bool writable;
	bool held;		   /* the VM is not at rest; its home CPU's */
	gpa_t at;		   /* where the guest sees it */
	uint32_t mask;		   /* a register without effect */
	_Atomic uint32_t listener; /* vCPU << 8 | vector; 0: none */
	_Atomic uint64_t rings;	   /* that were heard */
	_Atomic uint64_t refused;  /* writes, where it may only read */
};

/* All of a VM. */
struct shared_ports {
	uint32_t count;
	struct shared_port ports[MULL_SHARED_MAX];
	struct guest_memory view; /* the memories, where the guest sees them */
};

/* One for each memory that @vm names.  Boot CPU, later the service CPU.
 * ERR_NO_MEMORY leaves some made, for shared_ports_free(). */
enum error shared_ports_make(struct vm *vm);
void shared_ports_free(struct vm *vm);

/* Maps them for the guest; ERR_NO_MEMORY: no memory for its page tables.  Home
 * CPU, as those below. */
enum error shared_ports_map(struct vm *vm);

/* Whether all are there for @vm to start; else they are soon. */
bool shared_ports_hold(struct vm *vm);
/* It rests. */
void shared_ports_release(struct vm *vm);

/* Interrupts for what was rung; @vm runs.  Takes its device_lock. */
void shared_ports_hear(struct vm *vm);
/* Whether there is something to hear. */
static inline bool shared_ports_ring(const struct shared_ports *shared)
{
	for (uint32_t i = 0; i < shared->count; i++)
		if (shared_memory_rings(shared->ports[i].memory,
					shared->ports[i].peer))
			return true;
	return false;
}
/* What was rung for the last guest is not for the next. */
void shared_ports_forget(struct vm *vm);

/* Number @index; NULL: the VM has no such.  Any CPU of the VM. */
struct shared_port *shared_port_at(struct vm *vm, uint64_t index);

/* An emulated access of at most 8 bytes; false: @at is in none of its memories.
 * A write that it may not do does nothing; *refused tells that.  Any CPU. */
bool shared_ports_read(struct vm *vm, gpa_t at, uint64_t *value, size_t size);
bool shared_ports_write(struct vm *vm, gpa_t at, uint64_t value, size_t size,
			bool *refused);

/* The device of @port, in @slot (kernel/devices/ivshmem.c). */
void ivshmem_add(struct vm *vm, struct shared_port *port, uint32_t slot);

#endif
