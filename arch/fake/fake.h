/* SPDX-License-Identifier: MIT */
/*
 * What host tests see of the fake machine behind <mullion/arch.h> and
 * <mullion/virt.h>.  Every fake function is weak: a test that wants its own
 * arch_kick() just defines one.
 */
#ifndef ARCH_FAKE_H
#define ARCH_FAKE_H

#include <mullion/arch.h>
#include <mullion/bits.h>
#include <mullion/cache.h>
#include <mullion/package.h>
#include <mullion/virt.h>

#define FAKE __attribute__((weak))

/* ---- memory ------------------------------------------------------------- */

#define FAKE_MEMORY_SIZE GIB(16) /* physical addresses from 0, all zero */

/* The test's own view of physical memory, apart from arch_window()'s. */
void *fake_memory(hpa_t address);

/* All of it zero again, as at the start; the window shows nothing. */
void fake_memory_clear(void);

/* ---- clock -------------------------------------------------------------- */

extern uint64_t fake_time;     /* what arch_time() gives; the test moves it */
extern uint64_t fake_time_khz; /* 1,000,000: a tick is a nanosecond */
extern uint64_t fake_deadline; /* the last arch_set_deadline() */

/* ---- processors --------------------------------------------------------- */

extern uint32_t fake_cpu;	/* the running one */
extern uint32_t fake_cpu_count; /* 1 */
extern uint32_t fake_kicks[MULL_CPU_MAX];
extern uint32_t fake_idles;		  /* calls of arch_idle() */
extern uint32_t fake_leaves;		  /* calls of arch_leave_vm() */
extern struct cache_means fake_cache;	  /* what arch_cache_find() finds */
extern struct cache_plan fake_cache_plan; /* the last arch_cache_set() */
extern uint32_t fake_cache_sets;
extern uint32_t fake_cache_uses; /* calls of arch_cache_use() */
extern uint32_t fake_cache_class[MULL_CPU_MAX];
extern void (*fake_interrupts)(void); /* arch_take_interrupts(); may be NULL */
extern void (*fake_interrupt_handler[16])(void); /* by ISA line */
extern bool fake_fpu_open; /* between arch_fpu_begin() and arch_fpu_end() */
/* Fills the registers, which are zero before; may be NULL. */
extern void (*fake_cpuid)(uint32_t leaf, uint32_t subleaf,
			  uint32_t registers[4]);
extern uint64_t fake_guest_xcr0;	 /* the last that was accepted */
extern enum error fake_guest_xcr0_error; /* what arch_set_guest_xcr0() says */

/* ---- ports -------------------------------------------------------------- */

/* NULL: reads give all ones, and writes go nowhere. */
extern uint8_t (*fake_port_in)(uint16_t port);
extern void (*fake_port_out)(uint16_t port, uint8_t value);
extern uint32_t (*fake_port_in32)(uint16_t port);
extern void (*fake_port_out32)(uint16_t port, uint32_t value);

/* ---- registers of devices ------------------------------------------------ */

/* NULL: reads give all ones, and writes go nowhere. */
extern uint64_t (*fake_mmio_read)(hpa_t at, uint32_t size);
extern void (*fake_mmio_write)(hpa_t at, uint32_t size, uint64_t value);

#define FAKE_MESSAGES 4
/* What arch_connect_message() has given away: number N has data 0x60 + N. */
extern uint32_t fake_message_count;
extern struct fake_message {
	uint32_t cpu;
	void (*handler)(void *context);
	void *context;
} fake_messages[FAKE_MESSAGES];

/* ---- virtualization ----------------------------------------------------- */

struct fake_mapping {
	hpa_t root, to;
	gpa_t at;
	uint64_t size;
	enum stage2_rights rights;
};

/* State and record of the fake vendor; one for all vCPUs. */
struct fake_virt {
	/* Plays the guest: fills the exit.  Must be set before vcpu_run. */
	void (*run)(struct vcpu *vcpu, struct vm_exit *exit);
	uint32_t cpus_enabled, vcpus, resets, runs;
	uint32_t vcpus_max; /* there is no memory for more; 0: no limit */
	struct guest_system system;
	uint32_t watches;      /* calls of watch_breakpoints() */
	uint32_t system_reads; /* each costs a real vendor much */

	uint32_t injected;	  /* how many events */
	struct guest_event event; /* the last of them */
	bool event_pending;	  /* what virt->event_pending() says */
	bool can_interrupt;
	uint64_t shadow_rip; /* but not there, in the shadow of STI; 0: none */
	bool want_window;
	unsigned int flushes; /* of a TLB */
	bool delivers; /* the local APIC's interrupts, without injection */
	uint32_t asked_to_deliver; /* how often it was asked that */

	/* The one MSR that the fake switches; others are ERR_NOT_FOUND. */
	uint32_t msr;
	uint64_t msr_value;
	enum error msr_write_error;

	uint32_t roots;	       /* made and not yet destroyed */
	enum error root_error; /* what stage2_create() says */
	uint32_t mapping_count;
	struct fake_mapping mappings[256];
};

extern struct fake_virt fake_virt;
/* In arch_virt[], too.  A test that links kernel/start.c, where "virt" is
 * kept, sets it itself. */
extern const struct virt_ops fake_virt_ops;

extern uint64_t fake_random;
extern bool fake_apic_without_deadline;
extern bool fake_apic_given;	   /* to the guest of this CPU */
extern uint8_t fake_apic_priority; /* of its task */
extern uint8_t fake_apic_spurious;
extern uint8_t fake_apic_sent[256]; /* by arch_apic_send(): how often */

#endif
