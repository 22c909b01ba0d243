/* SPDX-License-Identifier: MIT */
/* What each physical CPU has of its own. */
#ifndef X86_CPU_H
#define X86_CPU_H

#include <assert.h>
#include <mullion/address.h>
#include <mullion/boot_info.h>
#include <mullion/error.h>
#include <mullion/package.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Each CPU's area in the address space is CPU_AREA_SIZE-aligned, with struct
 * cpu on its first page and all its stacks behind.  So struct cpu is found
 * from the stack pointer, whatever a guest has left in FS and GS.  Pages
 * between the stacks are not mapped: an overflow faults.
 */
struct vcpu;

#define CPU_AREA_BASE 0xffffff0000000000ull
#define CPU_AREA_SIZE 0x20000ull

enum cpu_area_page {
	CPU_PAGE_DATA = 0,
	CPU_PAGE_STACK = 2, /* CPU_STACK_PAGES pages */
	CPU_PAGE_NMI = 7,
	CPU_PAGE_DOUBLE_FAULT = 9,
	CPU_PAGE_MACHINE_CHECK = 11,
};
#define CPU_STACK_PAGES 4

/* "64-Bit TSS Format" */
struct tss {
	uint32_t reserved0;
	uint64_t rsp[3];
	uint64_t reserved1;
	uint64_t ist[7];
	uint64_t reserved2;
	uint16_t reserved3;
	uint16_t io_map_base;
} __attribute__((packed));

struct cpu {
	uint32_t index;
	uint32_t apic_id;
	volatile bool kicked; /* an NMI came that nobody has looked at */
	volatile bool started;
	volatile bool stop;	      /* another CPU panics */
	bool apic_given;	      /* to the guest: see apic_given.c */
	volatile uint32_t interrupts; /* taken so far */
	uint64_t idle_deadline;
	uint64_t timer_set; /* the deadline that is programmed */
	uint64_t window_frame;
	/* Debian's BearSSL has the stack protector on: %fs:0x28. */
	uint64_t stack_canary;
	void *host_state; /* the vendor's host save area */
	uint64_t host_state_physical;
	void *vendor_save; /* where VMSAVE keeps what VMLOAD brings back */
	uint64_t vendor_save_physical;
	uint8_t *fpu; /* XSAVE area of the guest whose FPU we borrow */
	uint32_t fpu_depth;
	uint64_t fpu_xcr0;
	struct vcpu *fpu_owner; /* whose FPU state is in the registers */
	uint64_t gdt[9] __attribute__((aligned(16)));
	struct tss tss __attribute__((aligned(16)));
};
static_assert(offsetof(struct cpu, stack_canary) == 0x28, "stack protector");
static_assert(sizeof(struct cpu) <= 4096, "one page");

static inline struct cpu *cpu_self(void)
{
	uint64_t rsp;

	__asm__("mov %%rsp, %0" : "=r"(rsp));
	return (struct cpu *)(rsp & ~(CPU_AREA_SIZE - 1));
}

/* SDM 325384, "MSR Access in x2APIC Mode": else the write of an MSR there may
 * come before stores that it tells others of. */
static inline void x2apic_fence(void)
{
	__asm__ volatile("mfence\n\tlfence" : : : "memory");
}

static inline struct cpu *cpu_at(uint32_t index)
{
	return (struct cpu *)(CPU_AREA_BASE + index * CPU_AREA_SIZE);
}

extern uint32_t cpu_count;

#define DIRECT_LOWEST 0xffff800000000000ull /* nothing of ours is below */

#define SELECTOR_CODE 0x08
#define SELECTOR_DATA 0x10
#define SELECTOR_TSS 0x18

#define VECTOR_TIMER 0x40
#define VECTOR_ISA 0x50	    /* + line */
#define VECTOR_MESSAGE 0x60 /* + number */
#define VECTOR_SPURIOUS 0xff
#define VECTOR_DISCARDED 15 /* the lowest of interrupts_discard() */

/* descriptors.c: make and load this CPU's tables. */
void descriptors_start(struct cpu *cpu);

/* page_table.c */
void page_table_start(const struct mull_boot_info *boot);
void page_table_cpu_area(uint32_t index);
uint64_t page_table_root(void);
/* A read-only view of guest RAM that stays in its slot (1..WINDOW_SLOTS - 2) of
 * this CPU until the next call for that slot. */
#define WINDOW_SLOTS 32
const void *page_table_view(uint32_t slot, hpa_t address);
void page_table_drop_identity(void);
/* Looks at every entry that the processors use: W^X, or a panic. */
void page_table_check(void);
/* The direct map's tables for all RAM, so that mapping needs no allocation. */
void page_table_reserve(const struct mull_boot_info *boot);
/* Tables of their own, for good, in which the firmware finds what is its at
 * physical addresses, to run and to write; and we ours. */
void page_table_firmware(const struct mull_boot_info *boot);
/* Writes to the image's own code, which is mapped read-only: at start. */
void page_table_write_image(const char *at, const uint8_t *bytes, size_t size);
/* One page at @physical mapped 1:1, executable, for the start of CPUs. */
void page_table_identity_page(uint64_t physical);

/* processors.c */
void processors_start(const struct mull_boot_info *boot);
_Noreturn void processor_main(void);
void processors_start_boot(void);

/* apic.c */
void apic_start(uint64_t physical_address);
void apic_enable(void);
uint32_t apic_id(void);
bool apic_in_service(uint8_t vector);
void apic_end_of_interrupt(void);
void apic_send_init(uint32_t apic_id);
void apic_send_startup(uint32_t apic_id, uint8_t page);
void apic_send_nmi(uint32_t apic_id);
void apic_timer_measure(void);
void apic_timer_fired(void);
/* MSRs that a guest reaches without an exit, and how. */
enum { MSR_READ = 1, MSR_WRITE = 2 };
struct msr_range {
	uint32_t first, last, how;
};

/* apic_given.c: calls @pass with @map for each of those ranges of a local APIC
 * that is given. */
void apic_given_pass(uint8_t *map,
		     void (*pass)(uint8_t *map, const struct msr_range *range));

/* Whether every CPU has what arch_apic_give() takes. */
bool apic_can_be_given(void);
void apic_mask_io(void);
enum error apic_connect_isa(uint32_t line, uint8_t vector,
			    uint32_t destination);

/* clock.c */
void clock_start(void);
void clock_wait_us(uint64_t microseconds);
/* QEMU runs with -icount. */
extern bool clock_counts_instructions;

/* interrupts.c */
void interrupts_start(void);
/* Takes what the local APIC requests now, and ends it, for nobody. */
void interrupts_discard(void);
extern uint64_t idt_pointer[2];

#endif
