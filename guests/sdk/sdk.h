/* SPDX-License-Identifier: MIT */
/*
 * The guest SDK: what a bare guest needs to run under Mullion.  A guest is
 * one file with guest_main(); the SDK has then set up its own page tables
 * (the first 4 GiB, identity-mapped, reachable from ring 3 too), GDT, IDT,
 * local APIC and console.  Interrupts are off when guest_main begins.
 */
#ifndef SDK_H
#define SDK_H

#include "cpu.h"
#include "layout.h"
#include <mullion/guest.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- life ---------------------------------------------------------------- */

/* The guest itself; what it returns ends the VM, as guest_end(). */
int guest_main(void);

/* What the hypervisor told about this VM, a copy. */
extern struct mull_guest_info guest_info;
extern char image_start[], image_end[]; /* from guest.lds */

/* Ends the VM; 0 is a power-off. */
__attribute__((noreturn)) void guest_end(uint32_t code);
#define GUEST_END_FAULT 128 /* plus the vector of an unexpected exception */

/* Whether this is Mullion, and not bare hardware or another hypervisor. */
bool mullion_present(void);

/* ---- console ------------------------------------------------------------- */

/* %s %c %d %u %x %ld %lu %lx %%, with a width and leading zeros; one call of
 * at most 255 bytes is one write to the console. */
__attribute__((format(printf, 1, 2))) void print(const char *format, ...);
size_t format_text(char *to, size_t size, const char *format, va_list values);
void console_write(const char *text, size_t length);
int console_read(void);	     /* next byte from the UART, or -1 */
void console_use_uart(void); /* from now on, the UART is written */

/* ---- command line -------------------------------------------------------- */

/* Copies the value of "@name=value" into @value; false when it is not there
 * or does not fit. */
bool option_text(const char *name, char *value, size_t size);
uint64_t option_number(const char *name, uint64_t otherwise);

/* ---- tests --------------------------------------------------------------- */

/* Prints "PASS text" or "FAIL text" and counts. */
__attribute__((format(printf, 2, 3))) void report(bool passed,
						  const char *format, ...);
/* Prints "DONE passed failed"; returns the number of failures, at most 99. */
int report_done(void);

/* ---- hypercalls ---------------------------------------------------------- */

/* Result as in <mullion/guest.h>: below 0 is minus an enum error. */
int64_t hypercall(uint64_t number, uint64_t rbx, uint64_t rcx);
int64_t hypercall_of_four(uint64_t number, uint64_t rbx, uint64_t rcx,
			  uint64_t rdx, uint64_t rsi);

/* ---- KVM's paravirtual features ------------------------------------------ */

#define MSR_KVM_STEAL_TIME 0x4b564d03
#define MSR_KVM_PV_EOI 0x4b564d04
#define KVM_STEAL_TIME BIT(5)
#define KVM_PV_EOI BIT(6)
#define KVM_PV_UNHALT BIT(7)
#define KVM_PV_TLB_FLUSH BIT(9)
#define KVM_PV_SEND_IPI BIT(11)
#define KVM_PV_SCHED_YIELD BIT(13)
#define KVM_CALL_KICK_CPU 5
#define KVM_CALL_SEND_IPI 10
#define KVM_CALL_SCHED_YIELD 11

uint32_t kvm_features(void); /* that this guest is offered */

/* Ends of interrupts of this vCPU go by memory where they can, or not any
 * more; false: that is not offered. */
bool eoi_use_memory(bool wanted);
/* Ends the interrupt in service; interrupt_handle() does it by itself. */
void eoi_signal(void);

#define STEAL_AWAY 1
#define STEAL_FLUSH 2
struct steal_time {
	volatile uint64_t ns;
	volatile uint32_t version, flags;
	volatile uint8_t preempted;
	uint8_t unused[47];
} __attribute__((aligned(64)));
/* Switches it on for this vCPU; NULL: that is not offered. */
struct steal_time *steal_time_start(void);

/* ---- shared memory ------------------------------------------------------- */

struct shared {
	uint64_t number;
	struct mull_guest_shared told;
};

/* The memory that the manifest calls @name; false: this VM has no such. */
bool shared_find(const char *name, struct shared *shared);
void *shared_bytes(const struct shared *shared);
/* Rings one of a peer's MULL_GUEST_DOORBELLS doorbells; false: there is no
 * such peer.  What was written before is there when the interrupt comes. */
bool shared_ring(const struct shared *shared, uint32_t peer, uint32_t doorbell);
/* Each of this VM's own doorbells interrupts this vCPU by @vector. */
bool shared_listen(const struct shared *shared, uint8_t vector);

/* ---- interrupts and exceptions ------------------------------------------- */

struct interrupt_frame {
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8;
	uint64_t rdi, rsi, rbp, rbx, rdx, rcx, rax;
	uint64_t vector, error;
	uint64_t rip, cs, rflags, rsp, ss;
};

typedef void interrupt_handler(struct interrupt_frame *frame);

/* @handler serves @vector on every vCPU, interrupts off; NULL: nobody.  From
 * vector 32 on, the end of interrupt is signalled after it. */
void interrupt_handle(uint8_t vector, interrupt_handler *handler);

/*
 * guarded_call - call a function that may raise an exception; vCPU 0 only
 *
 * Returns -1 when @function returned, or the vector of the exception that
 * ended it; last_fault then tells more.
 */
int guarded_call(void (*function)(void *), void *argument);

struct fault {
	uint64_t vector, error, rip, cr2;
};
extern struct fault last_fault;

/* Runs @function in ring 3, where it must end with BREAKPOINT(). */
int guarded_call_ring3(void (*function)(void));
#define BREAKPOINT() asm volatile("int3")

/* MSR access that returns false when it raised an exception. */
bool msr_try_read(uint32_t msr, uint64_t *value);
bool msr_try_write(uint32_t msr, uint64_t value);

/* ---- local and I/O APIC -------------------------------------------------- */

enum apic_register { /* offsets; x2APIC's MSR is 0x800 + offset / 16 */
		     APIC_ID = 0x20,
		     APIC_VERSION = 0x30,
		     APIC_TASK_PRIORITY = 0x80,
		     APIC_END = 0xb0,
		     APIC_SPURIOUS = 0xf0,
		     APIC_IN_SERVICE = 0x100,
		     APIC_REQUESTED = 0x200,
		     APIC_ERROR = 0x280,
		     APIC_COMMAND = 0x300,
		     APIC_COMMAND_HIGH = 0x310, /* xAPIC only */
		     APIC_LVT_TIMER = 0x320,
		     APIC_LVT_LINT0 = 0x350,
		     APIC_LVT_LINT1 = 0x360,
		     APIC_LVT_ERROR = 0x370,
		     APIC_TIMER_INITIAL = 0x380,
		     APIC_TIMER_CURRENT = 0x390,
		     APIC_TIMER_DIVIDE = 0x3e0,
		     APIC_SELF_IPI = 0x3f0, /* x2APIC only */
};

#define APIC_LVT_MASKED BIT(16)
#define APIC_LVT_PERIODIC BIT(17)
#define APIC_LVT_DEADLINE BIT(18)

/* Bits of the interrupt command register's low half. */
#define IPI_FIXED 0x000
#define IPI_NMI 0x400
#define IPI_INIT 0x500
#define IPI_STARTUP 0x600
#define IPI_ASSERT 0x4000
#define IPI_SELF 0x40000
#define IPI_ALL 0x80000
#define IPI_OTHERS 0xc0000

#define VECTOR_TIMER 0x40
#define VECTOR_WAKE 0x41
#define VECTOR_SPURIOUS 0xff

void apic_start(void);		   /* this vCPU's, in the mode that it is in */
bool apic_use_x2apic(bool wanted); /* false: the processor has none */
bool apic_is_x2apic(void);
uint32_t apic_id(void);
uint32_t apic_read(enum apic_register reg);
void apic_write(enum apic_register reg, uint32_t value);
/* @command: IPI_ bits and vector; @to: APIC id, unused with a shorthand. */
void apic_send(uint32_t to, uint32_t command);

#define IO_APIC_PIN 0x10 /* index of pin 0's low half */
#define IO_APIC_LEVEL BIT(15)

/* Routes a pin to this vCPU, edge-triggered. */
void io_apic_route(uint32_t pin, uint8_t vector);
void io_apic_mask(uint32_t pin);
uint32_t io_apic_read(uint32_t reg);
void io_apic_write(uint32_t reg, uint32_t value);

/* ---- time ---------------------------------------------------------------- */

#define NS_PER_US 1000ul
#define NS_PER_MS 1000000ul
#define NS_PER_SECOND 1000000000ul

void timer_calibrate(void); /* the local APIC timer against the TSC */
uint64_t time_ns(void);	    /* since the TSC's zero */
/* One VECTOR_TIMER after @ns, or one every @ns; on this vCPU. */
void timer_once(uint64_t ns);
void timer_periodic(uint64_t ns);
void timer_stop(void);
void sleep_ns(uint64_t ns); /* halts; interrupts are served meanwhile */
void spin_ns(uint64_t ns);  /* without a timer, interrupts as they are */

/* ---- other vCPUs --------------------------------------------------------- */

uint32_t cpu_index(void); /* of the vCPU that asks; is its APIC id, too */
/* Starts the others; returns how many run, this one included. */
uint32_t smp_start(void);
/* Starts vCPU @index afresh, whatever it does. */
bool smp_restart(uint32_t index);
/* Runs @function on vCPU @index; false when it is busy.  smp_wait: whether it
 * became idle within @ns. */
bool smp_run(uint32_t index, void (*function)(void *), void *argument);
bool smp_wait(uint32_t index, uint64_t ns);

/* ---- page tables --------------------------------------------------------- */

/* 2 MiB of guest-physical memory at @address, mapped until the next call. */
void *memory_window(uint64_t address);
/* Makes the 2 MiB page of @address (below 4 GiB) reachable again or not. */
void memory_present(uint64_t address, bool present);

/* ---- strings ------------------------------------------------------------- */

void *memcpy(void *to, const void *from, size_t length);
void *memmove(void *to, const void *from, size_t length);
void *memset(void *to, int value, size_t length);
int memcmp(const void *a, const void *b, size_t length);
size_t strlen(const char *text);
int strcmp(const char *a, const char *b);

/* ---- inside the SDK ------------------------------------------------------ */

extern uint8_t sdk_stacks[SDK_VCPU_MAX][SDK_STACK_SIZE];
void descriptors_start(uint32_t index);
void paging_start(void);
uint64_t paging_root(void);

#endif
