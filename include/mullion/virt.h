/* SPDX-License-Identifier: MIT */
/*
 * The one table between the kernel and the vendor code (SVM, VT-x), chosen
 * once at start.  Mechanism only: what an exit means is the kernel's matter.
 */
#ifndef MULLION_VIRT_H
#define MULLION_VIRT_H

#include <mullion/address.h>
#include <mullion/error.h>
#include <mullion/vm_exit.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vcpu;

/* A segment register as the guest sees it. */
struct guest_segment {
	uint64_t base;
	uint32_t limit; /* bytes, already scaled */
	uint16_t selector;
	/* "Segment attributes": type 3:0, S 4, DPL 6:5, P 7, AVL 8, L 9,
	 * D/B 10, G 11. */
	uint16_t attributes;
};

enum guest_segment_number {
	SEGMENT_ES,
	SEGMENT_CS,
	SEGMENT_SS,
	SEGMENT_DS,
	SEGMENT_FS,
	SEGMENT_GS,
	SEGMENT_LDTR,
	SEGMENT_TR,
	SEGMENT_COUNT
};

/* The system state of a vCPU, beside the registers in struct vcpu. */
struct guest_system {
	uint64_t cr0, cr2, cr3, cr4, efer;
	uint64_t gdt_base, idt_base;
	uint32_t gdt_limit, idt_limit;
	uint64_t dr6, dr7, pat;
	uint32_t cpl;
	struct guest_segment segments[SEGMENT_COUNT];
};

enum event_kind {
	EVENT_INTERRUPT,
	EVENT_NMI,
	EVENT_EXCEPTION,
	EVENT_SOFTWARE, /* INT n, with RIP behind it; of SVM only */
};

/* What is delivered to the guest with the next entry. */
struct guest_event {
	enum event_kind kind;
	uint8_t vector;
	bool has_error_code;
	uint32_t error_code;
	uint64_t cr2; /* of a page fault */
};

/* The last two, of shared memory, without instruction fetches. */
enum stage2_rights { STAGE2_NONE, STAGE2_ALL, STAGE2_READ, STAGE2_WRITE };

struct virt_ops {
	const char *name; /* "SVM", "VT-x" */

	/* Whether this machine has it; words say what is missing. */
	enum error (*probe)(const char **words);
	/* What it has of this machine's features, in words. */
	void (*describe)(char *to, size_t room);
	/* Switch it on, on the CPU that calls. */
	enum error (*cpu_enable)(void);

	/* A vCPU's control structures. */
	enum error (*vcpu_create)(struct vcpu *vcpu);
	void (*vcpu_destroy)(struct vcpu *vcpu);
	/* Power-on state, or what INIT leaves. */
	void (*vcpu_reset)(struct vcpu *vcpu);

	/*
	 * Enter the guest with vcpu->gpr, rip and rflags until an exit that
	 * the vendor's fast path does not finish by itself.
	 */
	void (*vcpu_run)(struct vcpu *vcpu, struct vm_exit *exit);

	/* Breakpoints exit, or no longer, as vcpu->vm->debugged says. */
	void (*watch_breakpoints)(struct vcpu *vcpu);

	/* System state, whole; slow, for rare exits and for dumps. */
	void (*read_system)(struct vcpu *vcpu, struct guest_system *system);
	void (*write_system)(struct vcpu *vcpu,
			     const struct guest_system *system);

	/* Deliver an event with the next entry; one at a time. */
	void (*inject)(struct vcpu *vcpu, const struct guest_event *event);
	/* Whether an event waits already, or still, to be delivered. */
	bool (*event_pending)(struct vcpu *vcpu);
	/* Whether an interrupt (not NMI) can be injected now. */
	bool (*can_interrupt)(struct vcpu *vcpu);
	/* Exit as soon as it can; or no longer. */
	void (*want_window)(struct vcpu *vcpu, bool want);

	/* Whether the processor itself delivers what the local APIC requests, in
	 * the APIC's mode of now: then there is nothing to inject.  To be asked
	 * before each entry, since it follows a change of mode.  For no
	 * vCPU (NULL): whether it does so in x2APIC mode.  NULL: never (SVM's
	 * AVIC is in no emulator). */
	bool (*delivers)(struct vcpu *vcpu);

	/* Whether a CPU's own local APIC can be given to its guest: where
	 * vcpu->apic.given, nothing is injected, and external interrupts and
	 * HLT do not exit.  NULL: never. */
	bool (*gives_apic)(void);
	/* Whether arch_set_deadline() ends such a guest; else another CPU must
	 * kick it. */
	bool has_timer;

	/* Before the next entry, forget what the TLB has of the guest's own
	 * tables. */
	void (*flush_tlb)(struct vcpu *vcpu);

	/* MSRs that the processor switches with the guest (FS_BASE, STAR...):
	 * ERR_NOT_FOUND for others; ERR_BAD_REQUEST means #GP. */
	enum error (*read_msr)(struct vcpu *vcpu, uint32_t msr,
			       uint64_t *value);
	enum error (*write_msr)(struct vcpu *vcpu, uint32_t msr,
				uint64_t value);

	/* The guest's second-stage tables: a root, a mapping of @size bytes
	 * (a multiple of 4 KiB; largest pages that fit), and their end. */
	enum error (*stage2_create)(hpa_t *root);
	enum error (*stage2_map)(hpa_t root, gpa_t at, hpa_t to, uint64_t size,
				 enum stage2_rights rights);
	/* What the processor finds there for @at. */
	void (*stage2_look)(hpa_t root, gpa_t at, struct mapping *mapping);
	void (*stage2_destroy)(hpa_t root);
};

/* The chosen table; set once at start. */
extern const struct virt_ops *virt;

/* What this build has, in the order in which they are tried. */
extern const struct virt_ops *const arch_virt[];
extern const size_t arch_virt_count;

#endif
