/* SPDX-License-Identifier: MIT */
/*
 * A guest's PCI bus: functions made by software.  BAR 0 has a function's
 * registers, and MSI-X too, if that has not a BAR 1 of its own; BAR 2 may be
 * memory.
 *
 * PCI Local Bus Specification 3.0, "Configuration Space" and "MSI-X
 * Capability and Table Structure"; PCI Express Base Specification 5.0, "PCI
 * Express Enhanced Configuration Access Mechanism (ECAM)".
 *
 * Callers hold vm->device_lock, if nothing else is said.
 */
#ifndef MULLION_GUEST_PCI_H
#define MULLION_GUEST_PCI_H

#include <mullion/address.h>
#include <mullion/arch.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PCI_SLOTS 32
#define PCI_CONFIG_SIZE 256
#define MSIX_VECTORS 8
#define MSIX_NO_VECTOR 0xffff

struct vm;
struct pci_function;
struct mull_device_stats;

/* What a kind of function does; a name that is NULL does nothing. */
struct pci_operations {
	/* Within BAR 0, naturally aligned, of 1, 2 or 4 bytes. */
	uint32_t (*read)(struct vm *vm, struct pci_function *function,
			 uint32_t offset, uint32_t size);
	void (*write)(struct vm *vm, struct pci_function *function,
		      uint32_t offset, uint32_t size, uint32_t value);
	/* Before a read and after a write of configuration space. */
	void (*config_read)(struct vm *vm, struct pci_function *function,
			    uint32_t offset, uint32_t size);
	void (*config_write)(struct vm *vm, struct pci_function *function,
			     uint32_t offset, uint32_t size);
	void (*reset)(struct vm *vm, struct pci_function *function);
	/*
	 * The next piece of its work, at most some 20,000 instructions;
	 * returns whether there is more.  The VM runs; its home CPU.
	 */
	bool (*work)(struct vm *vm, struct pci_function *function);
	/* What it has counted so far; any CPU. */
	void (*stats)(const struct pci_function *function,
		      struct mull_device_stats *stats);
};

struct msix_entry {
	uint32_t words[4]; /* address, its upper half, data, control */
};

struct pci_function {
	const struct pci_operations *operations;
	uint32_t slot;
	uint32_t bar_size;	/* BAR 0: a power of two from 16; 0: no BAR */
	uint32_t msix_bar_size; /* BAR 1, the same */
	/* BARs 2 and 3: memory that is mapped at @memory_at for as long as the
	 * VM has it, so that no access exits.  The guest cannot move it: it
	 * reads the same address again, whatever it has written. */
	uint64_t memory_at, memory_size; /* powers of two from 4096; 0: none */
	uint32_t msix_cap;   /* its offset in configuration space, or 0 */
	uint32_t msix_table; /* offsets in its BAR */
	uint32_t msix_pending_bits; /* 8 bytes there */
	uint8_t config[PCI_CONFIG_SIZE], writable[PCI_CONFIG_SIZE];
	uint32_t next_capability; /* where the next one goes */
	struct msix_entry msix[MSIX_VECTORS];
	uint64_t msix_pending;
};

struct guest_pci {
	struct pci_function *functions[PCI_SLOTS];
	_Atomic uint32_t work; /* slots that have some */
	uint32_t last_worker;  /* slot; the home CPU's own */
	/* arch_time() when some function has work by time alone, and which
	 * ones it then may be; the home CPU's own. */
	uint64_t due;
	uint32_t due_slots;
	uint32_t address; /* for the ports */
	/* Slots whose device has come or is to go, until the guest has read
	 * of it; and those that it may let go. */
	uint32_t coming, going, may_go;
	/* Where registers of one that was pulled out stood, until the guest
	 * has let go of it; 0: none.  They read as 0 there. */
	uint32_t pulled[PCI_SLOTS];
	/* Of a legacy PC: where else configuration space is, 0: nowhere; and
	 * firmware places BARs by itself. */
	uint64_t ecam;
	bool bars_anywhere;
	struct pci_function bridge;
};

/*
 * pci_function_init - give @function its identity
 * @class: base class, subclass and interface, as in the specification
 *
 * Its BARs have their sizes already.  Its configuration space is then fixed but
 * for what guest_pci_add_capability() adds.  No lock.
 */
void pci_function_init(struct pci_function *function, uint16_t vendor,
		       uint16_t device, uint32_t class);
/* Adds a capability of @length bytes, the first two of them made here;
 * returns its offset. */
uint32_t pci_add_capability(struct pci_function *function, uint8_t id,
			    const void *bytes, uint32_t length);
/* MSI-X with @table and @pending_bits as offsets in its BAR. */
void pci_add_msix(struct pci_function *function, uint32_t table,
		  uint32_t pending_bits);
uint64_t pci_config_get(const struct pci_function *function, uint32_t offset,
			uint32_t size);
void pci_config_put(struct pci_function *function, uint32_t offset,
		    uint32_t size, uint64_t value);
/* The guest may write the bits of @mask there. */
void pci_let_write(struct pci_function *function, uint32_t offset,
		   uint32_t size, uint64_t mask);

/* Puts @function, which stays the caller's, on the bus.  No lock. */
void guest_pci_add(struct vm *vm, struct pci_function *function);
/* A host bridge in slot 0, where kernels look for one.  No lock. */
void guest_pci_add_bridge(struct vm *vm);
/* As at power-on: BARs have their addresses, nothing is decoded. */
void guest_pci_reset(struct vm *vm);

/*
 * guest_pci_plug - @function comes while the guest runs
 *
 * The guest is told by an event.  guest_pci_unplug() asks it to let go of the
 * device in @slot; when it has done so, or there is no guest any more that
 * knows of it, guest_pci_is_empty(), and @function is the caller's alone.
 */
void guest_pci_plug(struct vm *vm, struct pci_function *function);
void guest_pci_unplug(struct vm *vm, uint32_t slot);
/* Takes it off at once: as when it is pulled out of a machine.  But its
 * registers read as 0, since drivers of virtio wait for that when they reset a
 * device, also one that has gone. */
void guest_pci_pull(struct vm *vm, uint32_t slot);
static inline bool guest_pci_is_empty(const struct guest_pci *pci,
				      uint32_t slot)
{
	return !pci->functions[slot];
}
/* The registers of that (kernel/devices/pci_hotplug.c). */
uint8_t guest_pci_take_coming(struct vm *vm);
uint8_t guest_pci_take_going(struct vm *vm);
void guest_pci_eject(struct vm *vm, uint8_t slot);
/* Of one function: as at power-on. */
void guest_pci_reset_function(struct vm *vm, struct pci_function *function);

/* Whether @at is in configuration space or where BARs may be. */
bool guest_pci_is_at(const struct vm *vm, gpa_t at);
/* An access of @size bytes there; where nothing is, ones, and no effect. */
uint64_t guest_pci_read(struct vm *vm, gpa_t at, uint32_t size);
void guest_pci_write(struct vm *vm, gpa_t at, uint32_t size, uint64_t value);

/* Configuration space by the ports 0xcf8 to 0xcff, as on a PC of 1993: for
 * what starts before it knows of ECAM. */
bool guest_pci_is_port(uint16_t port, uint32_t size);
uint32_t guest_pci_port_read(struct vm *vm, uint16_t port, uint32_t size);
void guest_pci_port_write(struct vm *vm, uint16_t port, uint32_t size,
			  uint32_t value);

/* @function has work; its home CPU does it soon. */
void guest_pci_notify(struct vm *vm, struct pci_function *function);
/* The same, when that CPU is kicked or wakes anyhow. */
void guest_pci_mark(struct vm *vm, struct pci_function *function);
/* It will have some when arch_time() reaches @time, or before.  Home CPU. */
void guest_pci_wake_at(struct vm *vm, struct pci_function *function,
		       uint64_t time);
/* A piece of it; returns whether there is more.  Home CPU, no lock. */
bool guest_pci_work(struct vm *vm);
/* There is none, and none comes by time alone. */
static inline bool guest_pci_is_quiet(const struct guest_pci *pci)
{
	return !atomic_load(&pci->work) && pci->due == ARCH_NO_DEADLINE;
}

/* Sends MSI-X @vector, or keeps it while it is masked. */
void msix_raise(struct vm *vm, struct pci_function *function, uint32_t vector);
uint32_t msix_read(const struct pci_function *function, uint32_t offset);
void msix_write(struct vm *vm, struct pci_function *function, uint32_t offset,
		uint32_t value);
/* After a write of its capability: what waits may go. */
void msix_control(struct vm *vm, struct pci_function *function);
void msix_reset(struct pci_function *function);

#endif
