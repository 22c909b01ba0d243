/* SPDX-License-Identifier: MIT */
/*
 * The local APIC of a vCPU: xAPIC registers by MMIO, x2APIC by MSRs.  Its
 * registers are those of VT-x's virtual-APIC page, so that a processor that
 * can work on them does so in place; else they are emulated, on the same
 * bytes.  Everything is touched by the vCPU's own CPU (or by the guest, while
 * it runs there) only, but for what is posted, which any CPU may do.  Other
 * CPUs look at the other atomic members to route a message; an old value then
 * counts as an earlier message.  SDM 325384, "Local APIC Register Address Map"
 * and "Local APIC Register Address Map Supported by x2APIC".
 */
#ifndef MULLION_LOCAL_APIC_H
#define MULLION_LOCAL_APIC_H

#include <assert.h>
#include <mullion/bits.h>
#include <mullion/error.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vcpu;

#define APIC_REGISTERS 64
#define APIC_VECTOR_WORDS 8 /* 256 bits in 32-bit words */
#define APIC_VECTOR_MIN 16  /* those below are illegal */
/* And these are exceptions' for a hypervisor that takes an APIC back. */
#define APIC_VECTOR_SENT 32

enum apic_lvt {
	LVT_TIMER,
	LVT_THERMAL,
	LVT_COUNTERS,
	LVT_LINT0,
	LVT_LINT1,
	LVT_ERROR,
	LVT_COUNT
};

enum apic_delivery {
	APIC_FIXED = 0,
	APIC_LOWEST = 1,
	APIC_SMI = 2,
	APIC_NMI = 4,
	APIC_INIT = 5,
	APIC_STARTUP = 6,
	APIC_EXTINT = 7,
};

/* An interrupt on its way: from an ICR, an I/O APIC entry or an MSI. */
struct apic_message {
	uint32_t destination; /* 8 bits in xAPIC form, 32 in x2APIC form */
	uint8_t vector;
	uint8_t delivery; /* enum apic_delivery */
	bool logical;
	bool level;
	bool x2apic; /* @destination is in x2APIC form */
};

struct apic_register {
	_Atomic uint32_t value;
	uint32_t zero[3]; /* an MSR of 64 bits takes one of them */
};

/* Interrupts on their way to the vCPU, which its own CPU moves to the IRR
 * before it enters the guest. */
struct apic_posted {
	_Atomic uint32_t requests[APIC_VECTOR_WORDS];
	_Atomic uint32_t level[APIC_VECTOR_WORDS]; /* which are no edges */
	_Atomic uint32_t words; /* of requests that have some: bits */
};

/* SDM 325384, "IA32_APIC_BASE MSR Supporting x2APIC" */
#define APIC_BASE_BOOTSTRAP BIT(8)
#define APIC_BASE_X2APIC BIT(10)
#define APIC_BASE_ENABLED BIT(11)

struct local_apic {
	/* By enum apic_register_number in local_apic_parts.h. */
	struct apic_register registers[APIC_REGISTERS];

	/* The rest of the page is the hypervisor's alone. */
	struct apic_posted posted;
	_Atomic uint64_t base; /* IA32_APIC_BASE */
	uint32_t id;	       /* the vCPU's number */
	uint32_t cpu;	       /* physical */
	uint32_t cpu_id;       /* the ID of that one's own local APIC */
	/* The registers of that CPU's own are the guest's; those here are what
	 * it may not touch. */
	_Atomic bool given;
	uint32_t errors;	 /* become the ESR when that is written */
	uint64_t timer_deadline; /* arch_time() when it expires next, or
				    ARCH_NO_DEADLINE */
	uint64_t tsc_deadline;	 /* IA32_TSC_DEADLINE as written; 0: disarmed */
	/* IRR or ISR, or the TMR, are not as the processor left them. */
	bool changed, levels_changed;
} __attribute__((aligned(4096)));
static_assert(offsetof(struct local_apic, posted) == 0x400 &&
		      sizeof(struct local_apic) == 4096,
	      "one page: SDM 326019, \"Virtual APIC State\"");

/* Power-on state; vCPU 0 is the bootstrap processor. */
void local_apic_reset(struct vcpu *vcpu);
/* What an INIT leaves: the ID and the APIC base stay. */
void local_apic_init(struct vcpu *vcpu);

struct vm;
/* Whether guests of @vm have the local APICs of their CPUs: no other VM will
 * ever run there, nor the services, and the processor can do it. */
bool local_apic_is_for(const struct vm *vm);
/* Whether @vm's have the TSC deadline: the emulated one's timer does. */
bool local_apic_has_deadline(const struct vm *vm);
/* Has it back from the guest, if it had it; own CPU only. */
void local_apic_take(struct vcpu *vcpu);
/* What was posted and must go through this CPU. */
void local_apic_pass_posted(struct local_apic *apic);

static inline bool local_apic_in_x2apic(const struct local_apic *apic)
{
	return apic->base & APIC_BASE_X2APIC;
}

/* In x2APIC mode and when it is off, the APIC's page is empty. */
bool local_apic_is_xapic(const struct local_apic *apic);

/* MMIO access at @offset (0..0xfff); sizes other than 4 read as the manual
 * says or are ignored, never more than the guest's own state is touched. */
uint64_t local_apic_mmio_read(struct vcpu *vcpu, uint32_t offset,
			      uint32_t size);
void local_apic_mmio_write(struct vcpu *vcpu, uint32_t offset, uint32_t size,
			   uint64_t value);

/* x2APIC MSRs 0x800..0x8ff, IA32_APIC_BASE and IA32_TSC_DEADLINE; an error
 * other than ERR_NONE means #GP(0).  When IA32_APIC_BASE has been written,
 * CPUID's APIC flag follows its bit 11. */
enum error local_apic_msr_read(struct vcpu *vcpu, uint32_t msr,
			       uint64_t *value);
enum error local_apic_msr_write(struct vcpu *vcpu, uint32_t msr,
				uint64_t value);

/* Asks for @vector; any CPU may call it.  Returns whether the caller must kick
 * the vCPU: not when a kick that it has not looked after yet is on its way.
 * An APIC that software has switched off, and an illegal vector, take nothing.
 */
bool local_apic_raise(struct local_apic *apic, uint8_t vector, bool level);

/* Whether @apic is meant by @message (shorthands are the ICR's own). */
bool local_apic_is_destination(const struct local_apic *apic,
			       const struct apic_message *message);

/* The processor's priority (PPR); any CPU, see above. */
uint32_t local_apic_priority(const struct local_apic *apic);

/* Moves what is posted to the IRR; own CPU only, as all that follows. */
void local_apic_take_posted(struct local_apic *apic);
/* The vector to deliver now by priority, or -1. */
int local_apic_pending(struct local_apic *apic);
/* Moves it from IRR to ISR: it is being delivered. */
void local_apic_accept(struct local_apic *apic, uint8_t vector);

/* On a PC: LINT0 of the bootstrap processor as its firmware leaves it, open to
 * the 8259A; and whether it is so now. */
void local_apic_wire_pic(struct local_apic *apic);
bool local_apic_passes_pic(const struct local_apic *apic);

/* For a processor that works on the registers itself: the highest vector of
 * the IRR and of the ISR, or 0; those of 64 that are levels by the TMR; and
 * what it leaves to us when it has ended a level, and when the guest has
 * written the register at @offset where it does not act by itself. */
uint8_t local_apic_requested(const struct local_apic *apic);
uint8_t local_apic_in_service(const struct local_apic *apic);
uint64_t local_apic_levels(const struct local_apic *apic, uint32_t part);
void local_apic_ended(struct vcpu *vcpu, uint8_t vector);
void local_apic_written(struct vcpu *vcpu, uint32_t offset);

/* The timer: raises its vector and sets the next deadline when @now is past
 * timer_deadline; a period so short that it would starve is stretched. */
void local_apic_timer(struct vcpu *vcpu, uint64_t now);

/* CR8 is TPR[7:4]. */
uint64_t local_apic_cr8(const struct local_apic *apic);
void local_apic_set_cr8(struct local_apic *apic, uint64_t cr8);

#endif
