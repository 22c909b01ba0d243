/* SPDX-License-Identifier: MIT */
/* A virtual machine: the unit of memory, devices and life. */
#ifndef MULLION_VM_H
#define MULLION_VM_H

#include <mullion/attach.h>
#include <mullion/control.h>
#include <mullion/guest_memory.h>
#include <mullion/guest_pci.h>
#include <mullion/io_apic.h>
#include <mullion/load.h>
#include <mullion/lock.h>
#include <mullion/package.h>
#include <mullion/serial.h>
#include <mullion/vcpu.h>
#include <mullion/watchdog.h>

/* The ACPI side of the platform: sleep, reset and event registers. */
struct platform {
	uint8_t events; /* MULL_GUEST_EVENT_*, cleared by a read */
	uint8_t sleep_control;
};

struct virtio_device;
struct pc;
struct virtio_block;
struct shared_ports;
struct virtio_console;
struct balloon;

struct virtio_net;
struct virtio_vsock;

/* What its home CPU is doing with a VM. */
enum vm_phase {
	PHASE_IDLE,  /* it is stopped, or it runs */
	PHASE_CLEAR, /* memory is zeroed before use */
	PHASE_OPEN,  /* what its disks have kept is looked at */
	PHASE_LOAD,  /* images are checked and copied */
	PHASE_PARK,  /* its vCPUs leave the guest */
	PHASE_ERASE, /* memory is zeroed after use */
	PHASE_WAIT,  /* until @start_at, to start again */
};

struct vm {
	uint32_t index; /* its number; the channel's stream */
	bool created;	/* at run time */
	struct mull_vm description;
	_Atomic uint32_t state; /* enum mull_vm_state */

	/* Why it ended; written by the vCPU that ends it, once. */
	_Atomic uint32_t ending; /* enum mull_end_reason, 0: it runs */
	uint32_t end_code;
	char end_words[160];
	uint32_t restarts;
	uint64_t started_at; /* arch_time() */

	/* KVM's features and hints, as CPUID tells its guest. */
	uint32_t kvm_features, kvm_hints;
	bool gives_apics;     /* to its vCPUs: local_apic_is_for() */
	uint32_t cache_class; /* of service; 0: that of everybody else */

	struct guest_memory memory;
	uint64_t memory_low, memory_high;
	uint32_t *frames; /* RAM; its disks have their own beside it */
	uint32_t frame_count;
	/* Held while another CPU walks them, and while they are taken away;
	 * no other lock inside. */
	struct lock stage2_lock;
	hpa_t stage2;

	struct vcpu *vcpus[MULL_VCPU_MAX];
	uint32_t vcpu_count;
	_Atomic uint32_t parked; /* vCPUs that are out of the guest */
	_Atomic uint32_t left;	 /* vCPUs that are out of their CPU's loop */
	_Atomic uint32_t paused; /* vCPUs that are, too, and will go on */

	/* Guards the shared devices below; never held with another lock. */
	struct lock device_lock;
	struct io_apic io_apic;
	struct serial serial;
	struct platform platform;
	struct watchdog watchdog;
	struct guest_pci pci;
	struct virtio_device *entropy; /* NULL: the machine has none to give */
	struct virtio_console *console;
	struct balloon *balloon; /* NULL: its memory is not elastic */
	struct pc *pc;		 /* NULL: it is no legacy PC */
	struct virtio_block *disks[MULL_DISK_MAX];
	struct attachment attachment;
	struct virtio_net *nics[MULL_NIC_MAX]; /* NULL: no more of them */
	struct virtio_vsock *vsock;	       /* NULL: it has none */
	struct shared_ports *shared; /* NULL: it names no shared memory */
	uint32_t complaints;	     /* log lines its guest has caused */

	/* The work of starting and ending, in steps; the home CPU's own. */
	enum vm_phase phase;
	uint32_t phase_frame;  /* next frame to treat */
	uint32_t phase_offset; /* bytes of it that are done */
	bool home_alone;       /* no other VM has a vCPU on its home CPU */
	bool restart;	       /* what comes after the end */
	uint32_t quick_ends;   /* in a row, each soon after a start */
	uint64_t start_at;     /* arch_time() */
	/* When its home CPU has something to do for it: start_at while it waits,
	 * its platform's timers while it runs; or ARCH_NO_DEADLINE. */
	_Atomic uint64_t deadline;
	_Atomic uint32_t stopped_by; /* vCPU + 1, at a breakpoint or step */
	_Atomic bool debugged;	     /* INT3 stops it */
	_Atomic bool pausing; /* its vCPUs are asked to, or have, paused */
	struct load load;
	_Atomic uint32_t
		commands; /* bits of enum mull_command, from the channel */
};

/*
 * vm_create - VM number @index as @description says, not yet started
 * @refusal: why it never can be, in words; then it has neither vCPUs nor a
 *	     console, and the description may be anything
 *
 * Boot CPU, later the service CPU.  NULL when there is no memory for it.
 */
struct vm *vm_create(const struct mull_vm *description, uint32_t index,
		     const char *refusal);

/* Frees what vm_create() made; all its vCPUs have left.  Service CPU. */
void vm_destroy(struct vm *vm);

/* How many vCPUs there are on that CPU; any CPU may ask. */
uint32_t vm_vcpus_on(uint32_t cpu);

/* Begins to start it: memory, images, then its vCPUs.  Home CPU. */
void vm_start(struct vm *vm);

/*
 * vm_work - the next piece, at most some 20,000 instructions, of what is to
 *           be done with @vm; called by its home CPU, that of vCPU 0
 *
 * Returns whether there is more to do at once.
 */
bool vm_work(struct vm *vm);
/* When it has some by time alone; its home CPU. */
uint64_t vm_deadline(const struct vm *vm);
uint32_t vm_home(const struct vm *vm);
/* Lets @vcpu alone of its paused VM do one instruction; service CPU. */
void vm_step(struct vcpu *vcpu);

/* Whether nothing of a guest is left in a VM of that state. */
static inline bool vm_state_rests(uint32_t state)
{
	return state == MULL_VM_STOPPED || state == MULL_VM_CRASHED ||
	       state == MULL_VM_REFUSED;
}

/* All VMs, by index; NULL: the number is free.  The service CPU's. */
extern struct vm *vms[MULL_VM_MAX];

/* Ends @vm for @reason; words by format, as log_write.  The first caller
 * wins.  Any of its vCPUs, or the service CPU, may call it. */
void vm_end(struct vm *vm, enum mull_end_reason reason, uint32_t code,
	    const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Has @command done to @vm by the CPU that may do it; any CPU.  That it makes
 * sense in the VM's state is known. */
void vm_command(struct vm *vm, enum mull_command command);

/*
 * vm_interrupt - send @message to the vCPUs that it is for
 *
 * Any CPU; takes no lock (kernel/devices/interrupt.c).  Returns whether it is
 * for anybody.  vm_interrupt_vcpu() sends it to @vcpu, whatever its
 * destination says.
 */
bool vm_interrupt(struct vm *vm, const struct apic_message *message);
bool vm_interrupt_vcpu(struct vcpu *vcpu, const struct apic_message *message);

/* The platform's sleep, reset and event ports (kernel/devices/platform.c).
 * Callers hold vm->device_lock, also while vm_end() is called from here. */
void platform_reset(struct vm *vm);
uint8_t platform_read(struct vm *vm, uint16_t port);
void platform_write(struct vm *vm, uint16_t port, uint8_t value);
void platform_press_button(struct vm *vm);
/* MULL_GUEST_EVENT_*, by the generic event device. */
void platform_tell(struct vm *vm, uint8_t event);

#endif
