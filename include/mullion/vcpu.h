/* SPDX-License-Identifier: MIT */
/* A virtual CPU, pinned to one physical CPU; only that CPU touches it, but
 * for the atomic members. */
#ifndef MULLION_VCPU_H
#define MULLION_VCPU_H

#include <mullion/local_apic.h>
#include <mullion/virt.h>
#include <mullion/vm_exit.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum gpr { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13,
	   R14, R15, GPR_COUNT };

/* What other CPUs ask of a vCPU (vcpu->requests). */
enum vcpu_request {
	VCPU_PARK = 1 << 0,    /* leave the guest and acknowledge */
	VCPU_INIT = 1 << 1,    /* INIT signal */
	VCPU_STARTUP = 1 << 2, /* SIPI; vector in vcpu->startup_vector */
	VCPU_NMI = 1 << 3,
};

enum vcpu_state {
	VCPU_PARKED,	  /* its VM is not running */
	VCPU_WAITING,	  /* for SIPI */
	VCPU_RUNNABLE,
	VCPU_HALTED,	  /* HLT, until an interrupt */
};

/* kvm-clock of a vCPU; KVM's "pvclock" contract. */
struct guest_clock {
	uint64_t msr; /* as the guest wrote it; bit 0: on */
	uint32_t version;
};

struct vm;

struct vcpu {
	/* First, since the entry code reaches it by constant offsets. */
	uint64_t gpr[GPR_COUNT];
	uint64_t rip, rflags;
	void *vendor; /* VMCB and what goes with it */

	struct vm *vm;
	uint32_t index; /* in its VM; its APIC ID */
	uint32_t cpu;	/* physical */
	enum vcpu_state state;
	_Atomic uint32_t requests; /* enum vcpu_request */
	_Atomic uint32_t startup_vector;

	struct local_apic apic;
	struct guest_clock clock;
	uint64_t xcr0;
	uint64_t misc_enable, feature_msrs[8];
	bool has_event; /* the exception that the last exit earned */
	struct guest_event event;

	uint64_t exits[EXIT_KIND_COUNT];
	struct vcpu *next; /* on the same CPU */
};

/* Behind the instruction that caused @exit, as the processor would go on. */
void vcpu_skip(struct vcpu *vcpu, const struct vm_exit *exit);

/* The exit's handler asks for an exception with the next entry. */
void vcpu_exception(struct vcpu *vcpu, uint8_t vector);
void vcpu_exception_code(struct vcpu *vcpu, uint8_t vector, uint32_t code);
void vcpu_page_fault(struct vcpu *vcpu, uint32_t code, uint64_t address);

/* Makes @vcpu notice what was posted for it; any CPU may call it. */
void vcpu_kick(struct vcpu *vcpu);
void vcpu_request(struct vcpu *vcpu, enum vcpu_request request);

#endif
