/* SPDX-License-Identifier: MIT */
/* One table: what is done about each kind of exit. */
#include <assert.h>
#include <mullion/arch.h>
#include <mullion/bits.h>
#include <mullion/cpuid.h>
#include <mullion/exits.h>
#include <mullion/guest_walk.h>
#include <mullion/instruction.h>
#include <mullion/log.h>
#include <mullion/trace.h>
#include <mullion/vm.h>

#define VECTOR_UD 6
#define VECTOR_GP 13
#define OPCODE_INT 0xcd

static void on_nothing(struct vcpu *vcpu, const struct vm_exit *exit)
{
	(void)vcpu;
	(void)exit;
}

static void on_interrupt(struct vcpu *vcpu, const struct vm_exit *exit)
{
	(void)exit;
	arch_take_interrupts();
	vcpu_leave_shadow(vcpu);
}

static void on_kick(struct vcpu *vcpu, const struct vm_exit *exit)
{
	(void)exit;
	vcpu_leave_shadow(vcpu);
}

/* The window is open: vcpu_prepare() delivers. */
static void on_window(struct vcpu *vcpu, const struct vm_exit *exit)
{
	(void)exit;
	vcpu->wants_window = false;
	virt->want_window(vcpu, false);
	vcpu_leave_shadow(vcpu);
}

void on_cpuid(struct vcpu *vcpu, const struct vm_exit *exit)
{
	uint32_t r[4];

	guest_cpuid(vcpu, vcpu->gpr[RAX], vcpu->gpr[RCX], r);
	cpuid_remember(vcpu, vcpu->gpr[RAX], vcpu->gpr[RCX], r);
	vcpu->gpr[RAX] = r[0];
	vcpu->gpr[RBX] = r[1];
	vcpu->gpr[RCX] = r[2];
	vcpu->gpr[RDX] = r[3];
	vcpu_skip(vcpu, exit);
}

void on_halt(struct vcpu *vcpu, const struct vm_exit *exit)
{
	vcpu_skip(vcpu, exit);
	vcpu->state = VCPU_HALTED;
	vcpu_halted(vcpu);
}

/* WBINVD and INVD of a guest without devices of its own do nothing: memory
 * stays coherent without them. */
static void on_cache(struct vcpu *vcpu, const struct vm_exit *exit)
{
	vcpu_skip(vcpu, exit);
}

static void on_privileged(struct vcpu *vcpu, const struct vm_exit *exit)
{
	(void)exit;
	vcpu_exception(vcpu, VECTOR_UD);
}

static void on_general_protection(struct vcpu *vcpu, const struct vm_exit *exit)
{
	(void)exit;
	vcpu_exception_code(vcpu, VECTOR_GP, 0);
}

/* Where the hardware exits for XSETBV (QEMU's SVM does not). */
static void on_xsetbv(struct vcpu *vcpu, const struct vm_exit *exit)
{
	uint64_t value = (uint32_t)vcpu->gpr[RAX] | vcpu->gpr[RDX] << 32;

	if ((uint32_t)vcpu->gpr[RCX] != 0 ||
	    arch_set_guest_xcr0(vcpu, value) != ERR_NONE)
		vcpu_exception_code(vcpu, VECTOR_GP, 0);
	else
		vcpu_skip(vcpu, exit);
}

static void on_triple_fault(struct vcpu *vcpu, const struct vm_exit *exit)
{
	(void)exit;
	vm_end(vcpu->vm, MULL_END_TRIPLE_FAULT, 0,
	       "triple fault on vCPU %u at RIP 0x%lx", vcpu->index, vcpu->rip);
}

static void on_breakpoint(struct vcpu *vcpu, const struct vm_exit *exit)
{
	(void)exit;
	vcpu_stop(vcpu);
}

/* QEMU 7.2 has no other way to catch INT3: what is INT n goes on. */
static void on_software_interrupt(struct vcpu *vcpu, const struct vm_exit *exit)
{
	uint8_t code[2];

	(void)exit;
	if (!vcpu_code(vcpu, code, 2) || code[0] != OPCODE_INT) {
		vcpu_stop(vcpu);
		return;
	}
	vcpu->rip += 2;
	vcpu->has_event = true;
	vcpu->event = (struct guest_event){ .kind = EVENT_SOFTWARE,
					    .vector = code[1] };
}

static void on_entry_failed(struct vcpu *vcpu, const struct vm_exit *exit)
{
	vm_end(vcpu->vm, MULL_END_BAD_EXIT, 0,
	       "the processor refuses the state of vCPU %u at RIP 0x%lx: %s "
	       "(%s code 0x%lx)",
	       vcpu->index, vcpu->rip,
	       exit->words ? exit->words : "no reason is known", virt->name,
	       exit->raw[0]);
}

static void on_unknown(struct vcpu *vcpu, const struct vm_exit *exit)
{
	vm_end(vcpu->vm, MULL_END_BAD_EXIT, 0,
	       "vCPU %u left at RIP 0x%lx for what guests must not do: %s "
	       "(%s code 0x%lx, 0x%lx, 0x%lx)",
	       vcpu->index, vcpu->rip,
	       exit->words ? exit->words : "a reason that is not known",
	       virt->name, exit->raw[0], exit->raw[1], exit->raw[2]);
}

static exit_handler *const exit_handlers[] = {
	[EXIT_NONE] = on_nothing,
	[EXIT_INTERRUPT] = on_interrupt,
	[EXIT_NMI] = on_kick,
	[EXIT_WINDOW] = on_window,
	[EXIT_CPUID] = on_cpuid,
	[EXIT_HALT] = on_halt,
	[EXIT_PORT_IO] = on_port_io,
	[EXIT_MSR_READ] = on_msr_read,
	[EXIT_MSR_WRITE] = on_msr_write,
	[EXIT_HYPERCALL] = on_hypercall,
	[EXIT_MEMORY] = on_memory,
	[EXIT_XSETBV] = on_xsetbv,
	[EXIT_CACHE] = on_cache,
	[EXIT_PRIVILEGED] = on_privileged,
	[EXIT_COUNTER] = on_general_protection,
	[EXIT_VENDOR] = on_nothing,
	[EXIT_BAD_STATE] = on_general_protection,
	[EXIT_TRIPLE_FAULT] = on_triple_fault,
	[EXIT_BREAKPOINT] = on_breakpoint,
	[EXIT_SOFTWARE_INTERRUPT] = on_software_interrupt,
	[EXIT_ENTRY_FAILED] = on_entry_failed,
	[EXIT_UNKNOWN] = on_unknown,
	[EXIT_COMMAND] = on_unknown, /* no exit is decoded as one */
};
static_assert(ARRAY_COUNT(exit_handlers) == EXIT_KIND_COUNT,
	      "every exit kind needs a handler");

/* Apart, so that an exit that nobody traces saves no registers for it. */
static __attribute__((noinline)) void handle_traced(struct vcpu *vcpu,
						    const struct vm_exit *exit)
{
	TRACE(EXIT, vcpu, "exit %s at 0x%lx", exit_kind_name(exit->kind),
	      vcpu->rip);
	exit_handlers[exit->kind](vcpu, exit);
}

void exit_handle(struct vcpu *vcpu, const struct vm_exit *exit)
{
	ASSERT(exit->kind < EXIT_KIND_COUNT);
	if (__builtin_expect(traced, 0))
		handle_traced(vcpu, exit);
	else
		exit_handlers[exit->kind](vcpu, exit);
}
