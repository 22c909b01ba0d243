/* SPDX-License-Identifier: MIT */
/* A virtual CPU, pinned to one physical CPU; only that CPU touches it, but
 * for the atomic members. */
#ifndef MULLION_VCPU_H
#define MULLION_VCPU_H

#include <mullion/control.h>
#include <mullion/local_apic.h>
#include <mullion/paravirtual.h>
#include <mullion/schedule.h>
#include <mullion/stopwatch.h>
#include <mullion/virt.h>
#include <mullion/vm_exit.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum gpr {
	RAX,
	RCX,
	RDX,
	RBX,
	RSP,
	RBP,
	RSI,
	RDI,
	R8,
	R9,
	R10,
	R11,
	R12,
	R13,
	R14,
	R15,
	GPR_COUNT
};

/* What other CPUs ask of a vCPU (vcpu->requests). */
enum vcpu_request {
	VCPU_PARK = 1 << 0,    /* leave the guest and acknowledge */
	VCPU_INIT = 1 << 1,    /* INIT signal */
	VCPU_STARTUP = 1 << 2, /* SIPI; vector in vcpu->startup_vector */
	VCPU_NMI = 1 << 3,
	VCPU_BEGIN = 1 << 4, /* its VM starts: power-on state */
	VCPU_PAUSE = 1 << 5, /* leave the guest, as it is */
	VCPU_RESUME = 1 << 6,
	VCPU_LOOK = 1 << 7,  /* vcpu_exchange() for the operator */
	VCPU_STEP = 1 << 8,  /* as VCPU_RESUME, for one instruction */
	VCPU_DEBUG = 1 << 9, /* vm->debugged has changed */
	VCPU_PIC = 1 << 10,  /* its PC's 8259A have one; theirs to take back */
	VCPU_UNHALT = 1 << 11, /* the guest ends a HLT of it, or the next */
	VCPU_FORGET = 1 << 12, /* frames that its VM has let go of */
};

enum vcpu_state {
	VCPU_PARKED,  /* its VM is not running */
	VCPU_PAUSED,  /* requests wait, and so does its timer */
	VCPU_WAITING, /* for SIPI */
	VCPU_RUNNABLE,
	VCPU_HALTED, /* HLT, until an interrupt */
};

/* What CPUID gave last for a leaf and subleaf, for the short path. */
#define CPUID_LINES 16
#define CPUID_NO_KEY UINT64_MAX
struct cpuid_line {
	uint64_t key; /* leaf, and the subleaf in the upper half */
	uint32_t registers[4];
} __attribute__((aligned(32))); /* the index is a shift */

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
	enum vcpu_state state, paused_in;
	_Atomic(enum slot_turn) turn; /* OWN where there is no schedule */
	bool scheduled;		      /* its VM has part in one */
	_Atomic uint32_t requests;    /* enum vcpu_request */
	_Atomic uint32_t startup_vector;
	/* Only another vCPU's request can make it go on. */
	_Atomic bool stuck;
	bool wants_window;
	bool held;	       /* stopped for a debugger, until its VM pauses */
	bool stepping;	       /* by RFLAGS.TF, which is not the guest's */
	bool guest_steps;      /* but the guest's own was set already */
	uint8_t held_priority; /* its local APIC's, meanwhile */

	struct guest_clock clock;
	struct guest_eoi eoi;
	struct guest_steal steal;
	bool unhalted; /* its HLT, or its next, has been ended by another */
	bool yields;   /* the rest of its slot */
	struct cpuid_line cpuid_lines[CPUID_LINES];
	uint64_t xcr0;
	uint8_t *fpu; /* arch's: FPU state while another vCPU runs here */
	uint64_t debug_registers[4];
	uint64_t misc_enable;
	bool has_event; /* the exception that the last exit earned */
	struct guest_event event;

	uint64_t exits[EXIT_KIND_COUNT];
	uint64_t interrupts;   /* that were delivered */
	struct stopwatch work; /* on its exits */
	struct stopwatch guest;
	struct vcpu *next;	   /* on the same CPU; NULL: not in its loop */
	struct vcpu *moves_before; /* cpu_loop_move() */

	struct local_apic apic; /* a page: last, so that there are but two */
};

/* exits.c: does what the exit asks for. */
void exit_handle(struct vcpu *vcpu, const struct vm_exit *exit);

/* VCPU_LOOK (kernel/partition/registers.c). */
void vcpu_exchange(struct vcpu *vcpu);

/* Its VM pauses with it where it is: a breakpoint, or a step is done. */
void vcpu_stop(struct vcpu *vcpu);
/* Reads @count bytes of code from RIP on; false: they are not to be read. */
bool vcpu_code(struct vcpu *vcpu, uint8_t *code, size_t count);

/* Obeys what other CPUs asked for; own CPU only. */
void vcpu_obey(struct vcpu *vcpu);

/*
 * The registers of a vCPU whose VM is paused, which only its own CPU reaches:
 * VCPU_LOOK has that CPU fill @registers, or take them with @write, and then
 * tell that it is @done.  One for all, of the request in work.
 */
extern struct vcpu_look {
	struct mull_registers registers;
	bool write;
	enum error error; /* of the write */
	_Atomic bool done;
} vcpu_look;

/* Hands the vendor what the guest is to take with the next entry. */
void vcpu_prepare(struct vcpu *vcpu);
/* Whether a halted vCPU has a reason to go on. */
bool vcpu_wakes(struct vcpu *vcpu);
/* After an exit that is no instruction's: a HLT behind STI is done. */
void vcpu_leave_shadow(struct vcpu *vcpu);
/* After HLT: ends the VM when none of its vCPUs can ever go on. */
void vcpu_halted(struct vcpu *vcpu);

/* Behind the instruction that caused @exit, as the processor would go on. */
void vcpu_skip(struct vcpu *vcpu, const struct vm_exit *exit);

/* To be called where an instruction was done for the guest: it earns a #DB
 * when it single-steps. */
void vcpu_moved_on(struct vcpu *vcpu);

/* The exit's handler asks for an exception with the next entry. */
void vcpu_exception(struct vcpu *vcpu, uint8_t vector);
void vcpu_exception_code(struct vcpu *vcpu, uint8_t vector, uint32_t code);
void vcpu_page_fault(struct vcpu *vcpu, uint32_t code, uint64_t address);

/* Makes @vcpu notice what was posted for it; any CPU may call it.  Where it is
 * not its turn, it does when that comes: who runs there must not feel it. */
void vcpu_kick(struct vcpu *vcpu);
void vcpu_request(struct vcpu *vcpu, enum vcpu_request request);

#endif
