/* SPDX-License-Identifier: MIT */
/*
 * Exceptions and interrupts of the hypervisor itself.  It runs with
 * interrupts off; they come only while it idles and in
 * arch_take_interrupts().  An NMI is a kick.  An exception is a bug: panic.
 */
#include "cpu.h"
#include "registers.h"
#include <mullion/arch.h>
#include <mullion/log.h>
#include <mullion/virt.h>
#include <string.h>

struct interrupt_frame {
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8;
	uint64_t rdi, rsi, rbp, rbx, rdx, rcx, rax;
	uint64_t vector, error_code;
	uint64_t rip, cs, rflags, rsp, ss;
};

#define VECTOR_DOUBLE_FAULT 8
#define VECTOR_MACHINE_CHECK 18
#define VECTOR_FIRST_INTERRUPT 32

/* "64-Bit IDT Gate Descriptors" */
typedef uint64_t gate_table[256][2];
static gate_table idt __attribute__((aligned(4096)));
uint64_t idt_pointer[2];
/* Whatever vector a guest has chosen: those of exceptions from 16 on, too;
 * and one below for what is spurious. */
static gate_table discarding_idt __attribute__((aligned(4096)));
static uint64_t discarding_pointer[2];

extern const char interrupt_entries[], interrupt_discarded[];
extern const char idle_look[], idle_end[], idle_kick_look[], idle_kick_end[];
extern const char vmx_enter_look[], vmx_enter_failed[], vmx_enter_abort[];
extern const char vmx_fast_look[], vmx_fast_failed[], vmx_fast_abort[];
void idle_wait(volatile bool *kicked);
void idle_wait_kick(volatile bool *kicked);
void interrupt_handle(struct interrupt_frame *frame);

#define ISA_LINES 16
static void (*isa_handlers[ISA_LINES])(void);
static uint32_t isa_cpu; /* which they go to */

/* "Message Address Register Format": to one CPU, by its APIC ID */
#define MESSAGE_ADDRESS 0xfee00000
#define MESSAGE_DESTINATION BITS(19, 12)

#define MESSAGES_MAX 16
static struct message_handler {
	void (*handle)(void *context);
	void *context;
	uint32_t cpu;
} message_handlers[MESSAGES_MAX];
static uint32_t message_count;

static void set_gate(gate_table table, uint32_t vector, const char *to,
		     uint32_t stack)
{
	uint64_t entry = (uint64_t)to;

	table[vector][0] = (entry & 0xffff) | SELECTOR_CODE << 16 |
			   (uint64_t)stack << 32 | 0x8eull << 40 |
			   (entry >> 16 & 0xffff) << 48;
	table[vector][1] = entry >> 32;
}

static void set_own_gate(uint32_t vector, uint32_t stack)
{
	set_gate(idt, vector, interrupt_entries + 16 * vector, stack);
}

void interrupts_start(void)
{
	for (uint32_t vector = 0; vector < 256; vector++)
		set_own_gate(vector, 0);
	set_own_gate(VECTOR_NMI, 1);
	set_own_gate(VECTOR_DOUBLE_FAULT, 2);
	set_own_gate(VECTOR_MACHINE_CHECK, 3);
	idt_pointer[0] = (sizeof idt - 1ull) << 48;
	idt_pointer[1] = (uint64_t)idt;

	memcpy(discarding_idt, idt, sizeof idt);
	for (uint32_t vector = VECTOR_DISCARDED; vector < 256; vector++)
		set_gate(discarding_idt, vector, interrupt_discarded, 0);
	discarding_pointer[0] = (sizeof idt - 1ull) << 48;
	discarding_pointer[1] = (uint64_t)discarding_idt;
}

/* For the two instructions a machine check looks like a guest's interrupt 18;
 * it stops this CPU at the latest when it comes again. */
void interrupts_discard(void)
{
	__asm__ volatile("lidt (%0)\n\tsti\n\tnop\n\tnop\n\tcli\n\tlidt (%1)"
			 :
			 : "r"((char *)discarding_pointer + 6),
			   "r"((char *)idt_pointer + 6)
			 : "memory");
}

static const char *exception_name(uint64_t vector)
{
	static const char *const names[] = {
		"divide error",
		"debug",
		"NMI",
		"breakpoint",
		"overflow",
		"bound range",
		"invalid opcode",
		"no math unit",
		"double fault",
		"9",
		"invalid TSS",
		"segment not present",
		"stack fault",
		"general protection",
		"page fault",
		"15",
		"x87 error",
		"alignment check",
		"machine check",
		"SIMD error",
		"virtualization",
		"control protection",
	};

	return vector < ARRAY_COUNT(names) ? names[vector] : "exception";
}

static _Noreturn void die(const struct interrupt_frame *f)
{
	panic("%s in the hypervisor, error code 0x%lx\n"
	      "RIP %016lx RSP %016lx RFLAGS %08lx CR2 %016lx\n"
	      "RAX %016lx RBX %016lx RCX %016lx RDX %016lx\n"
	      "RSI %016lx RDI %016lx RBP %016lx R8  %016lx\n"
	      "R9  %016lx R10 %016lx R11 %016lx R12 %016lx\n"
	      "R13 %016lx R14 %016lx R15 %016lx",
	      exception_name(f->vector), f->error_code, f->rip, f->rsp,
	      f->rflags, read_cr2(), f->rax, f->rbx, f->rcx, f->rdx, f->rsi,
	      f->rdi, f->rbp, f->r8, f->r9, f->r10, f->r11, f->r12, f->r13,
	      f->r14, f->r15);
}

/* Code that has looked at cpu->kicked and acts on what it saw: from there, a
 * kick goes on elsewhere. */
static const struct lossless {
	const char *from, *to, *instead;
} lossless[] = {
	{ idle_look, idle_end, idle_end },
	{ idle_kick_look, idle_kick_end, idle_kick_end },
	{ vmx_enter_look, vmx_enter_failed, vmx_enter_abort },
	{ vmx_fast_look, vmx_fast_failed, vmx_fast_abort },
};

static void on_nmi(struct interrupt_frame *frame)
{
	struct cpu *cpu = cpu_self();

	if (cpu->stop)
		arch_halt();
	cpu->kicked = true;
	for (size_t i = 0; i < ARRAY_COUNT(lossless); i++)
		if (frame->rip >= (uint64_t)lossless[i].from &&
		    frame->rip < (uint64_t)lossless[i].to) {
			frame->rip = (uint64_t)lossless[i].instead;
			break;
		}
}

void interrupt_handle(struct interrupt_frame *frame)
{
	uint64_t line = frame->vector - VECTOR_ISA;
	uint64_t message = frame->vector - VECTOR_MESSAGE;
	uint32_t self = cpu_self()->index;

	if (frame->vector == VECTOR_NMI) {
		on_nmi(frame);
		return;
	}
	if (frame->vector < VECTOR_FIRST_INTERRUPT)
		die(frame);
	/* Not spurious if it must be ended: one for a guest that has just lost
	 * its local APIC, and which would hold all others back. */
	if (frame->vector == VECTOR_SPURIOUS &&
	    !apic_in_service(VECTOR_SPURIOUS))
		return;
	cpu_self()->interrupts++;
	if (frame->vector == VECTOR_TIMER)
		apic_timer_fired();
	/* Elsewhere they are a guest's that has just lost its local APIC. */
	if (line < ISA_LINES && isa_handlers[line] && isa_cpu == self)
		isa_handlers[line]();
	if (message < message_count && message_handlers[message].cpu == self)
		message_handlers[message].handle(
			message_handlers[message].context);
	apic_end_of_interrupt();
}

enum error arch_connect_interrupt(uint32_t isa_line, void (*handler)(void))
{
	if (isa_line >= ISA_LINES)
		return ERR_BAD_REQUEST;
	isa_handlers[isa_line] = handler;
	isa_cpu = cpu_self()->index;
	return apic_connect_isa(isa_line, VECTOR_ISA + isa_line,
				cpu_self()->apic_id);
}

enum error arch_connect_message(uint32_t cpu, void (*handler)(void *context),
				void *context, struct arch_message *message)
{
	uint32_t destination = cpu_at(cpu)->apic_id;

	if (destination > 0xff)
		return ERR_UNSUPPORTED; /* that takes interrupt remapping */
	if (message_count == MESSAGES_MAX)
		return ERR_NO_MEMORY;
	message_handlers[message_count] = (struct message_handler){ handler,
								    context,
								    cpu };
	message->address = MESSAGE_ADDRESS |
			   field_make(MESSAGE_DESTINATION, destination);
	message->data = VECTOR_MESSAGE + message_count++;
	return ERR_NONE;
}

/* What a local APIC that is given requests is the guest's.  A deadline there may
 * have been what this CPU was kicked for: it is set again, same or not. */
void arch_take_interrupts(void)
{
	if (cpu_self()->apic_given) {
		cpu_self()->timer_set = 0;
		return;
	}
	__asm__ volatile("sti\n\tnop\n\tnop\n\tcli" : : : "memory");
}

bool arch_is_wanted(void)
{
	struct cpu *cpu = cpu_self();
	uint32_t before = cpu->interrupts;

	arch_take_interrupts();
	return cpu->kicked || cpu->interrupts != before;
}

void arch_idle(void)
{
	struct cpu *cpu = cpu_self();

	if (!cpu->apic_given)
		idle_wait(&cpu->kicked);
	else if (!virt->has_timer || cpu->timer_set == ARCH_NO_DEADLINE)
		idle_wait_kick(&cpu->kicked);
	else if (!cpu->kicked && !arch_time_is_over(cpu->timer_set))
		arch_pause(); /* rare: no timer is left to wait for */
}

void arch_kick_forget(void)
{
	cpu_self()->kicked = false;
	__asm__ volatile("" : : : "memory");
}

void arch_kick(uint32_t index)
{
	struct cpu *cpu = cpu_at(index);

	if (cpu == cpu_self()) {
		cpu->kicked = true;
		return;
	}
	apic_send_nmi(cpu->apic_id);
}

void arch_stop_others(void)
{
	struct cpu *self = cpu_self();

	for (uint32_t i = 0; i < cpu_count; i++) {
		if (cpu_at(i) == self)
			continue;
		cpu_at(i)->stop = true;
		apic_send_nmi(cpu_at(i)->apic_id);
	}
}

_Noreturn void arch_halt(void)
{
	for (;;)
		__asm__ volatile("cli\n\thlt");
}

size_t arch_backtrace(uint64_t *addresses, size_t count)
{
	const uint64_t *frame = __builtin_frame_address(0);
	size_t found = 0;

	/* Frames lie on one stack, each further up than the last. */
	while (found < count && ((uint64_t)frame & 7) == 0 &&
	       (uint64_t)frame >= DIRECT_LOWEST) {
		const uint64_t *next = (const uint64_t *)frame[0];

		addresses[found++] = frame[1];
		if (next <= frame || next > frame + 8192)
			break;
		frame = next;
	}
	return found;
}
