/* SPDX-License-Identifier: MIT */
/* Into the guest and out of it, and what is delivered on the way. */
#include "vmx.h"
#include "../cpu.h"
#include "../fpu.h"
#include "../registers.h"
#include "vmcs.h"
#include <mullion/arch.h>
#include <mullion/fast_exit.h>
#include <mullion/log.h>
#include <mullion/vm.h>

/* vmx_enter.S has them, too.  HANDLED: the short path has dealt with the exit,
 * but the loop must look around. */
enum vmx_entry { ABORTED, EXITED, REFUSED, HANDLED };
static_assert(EXITED == FAST_LONG_WAY + 1 && HANDLED == FAST_LOOK + 1,
	      "vmx_enter.S counts on it");

/* So many exits of the short path in a row, then the loop looks around. */
#define FAST_IN_A_ROW 1000

enum vmx_entry vmx_enter(struct vcpu *vcpu, bool launched,
			 volatile bool *kicked, uint64_t *host_rsp);

/*
 * The one rule about stale translations.  Combined and linear mappings are
 * tagged by a VPID that no other vCPU has: they are flushed where a register
 * that they hang on was changed for the guest, and at its reset.  Those of
 * the EPT are flushed where one that was there has gone since this vCPU, which
 * never leaves its CPU, entered last.
 */
static void flush_for(struct vcpu *vcpu)
{
	struct vmx_vcpu *vmx = vmx_of(vcpu);
	uint32_t now = ept_generation();

	if (vmx->tlb_seen != now) {
		if (!vmx_invept(vmx_controls.invept_single ?
					VMX_INVALIDATE_SINGLE :
					VMX_INVALIDATE_ALL,
				vmx->ept_pointer))
			vmcs_refused("INVEPT", vmx->ept_pointer);
		vmx->tlb_seen = now;
	}
	/* Without VPIDs, every entry flushes them. */
	if (vmx->flush_linear && vmx->vpid &&
	    !vmx_invvpid(vmx_controls.invvpid_single ? VMX_INVALIDATE_SINGLE :
						       VMX_INVALIDATE_ALL,
			 vmx->vpid))
		vmcs_refused("INVVPID", vmx->vpid);
	vmx->flush_linear = false;
}

bool vmx_is_owner(const struct vcpu *vcpu)
{
	return vmx_cpu_self()->owner == vcpu;
}

void vmx_forget(struct vcpu *vcpu)
{
	if (vmx_is_owner(vcpu))
		vmx_cpu_self()->owner = NULL;
}

uint64_t vmx_dr6(const struct vcpu *vcpu)
{
	return vmx_is_owner(vcpu) ? read_dr6() : vmx_of(vcpu)->unswitched.dr6;
}

static const uint32_t unswitched_msrs[] = {
	MSR_STAR, MSR_LSTAR, MSR_CSTAR, MSR_SFMASK, MSR_KERNEL_GS_BASE,
};

uint64_t *vmx_unswitched_msr(struct vcpu *vcpu, uint32_t msr)
{
	for (size_t i = 0; i < ARRAY_COUNT(unswitched_msrs); i++)
		if (unswitched_msrs[i] == msr)
			return &vmx_of(vcpu)->unswitched.msrs[i];
	return NULL;
}

static void save_unswitched(struct vmx_unswitched *to)
{
#pragma GCC unroll 5
	for (size_t i = 0; i < ARRAY_COUNT(unswitched_msrs); i++)
		to->msrs[i] = read_msr(unswitched_msrs[i]);
	to->cr2 = read_cr2();
	to->dr6 = read_dr6();
}

/* @now: what this CPU has, NULL: that is not known.  A write takes a processor
 * a hundred cycles, and guests of one kernel have much in common. */
static void load_unswitched(const struct vmx_unswitched *from,
			    const struct vmx_unswitched *now)
{
#pragma GCC unroll 5
	for (size_t i = 0; i < ARRAY_COUNT(unswitched_msrs); i++)
		if (!now || now->msrs[i] != from->msrs[i])
			write_msr(unswitched_msrs[i], from->msrs[i]);
	write_cr2(from->cr2);
	if (!now || now->dr6 != from->dr6)
		write_dr6(from->dr6);
}

/* As fpu_use(), for what the hypervisor itself has no use for. */
static void use_unswitched(struct vcpu *vcpu)
{
	const struct vmx_unswitched *from = &vmx_of(vcpu)->unswitched;
	struct vcpu *old = vmx_cpu_self()->owner;

	if (old == vcpu)
		return;
	vmx_cpu_self()->owner = vcpu;
	if (old) {
		save_unswitched(&vmx_of(old)->unswitched);
		load_unswitched(from, &vmx_of(old)->unswitched);
	} else {
		load_unswitched(from, NULL);
	}
}

/*
 * Behind an instruction that was emulated, the shadow of a STI or MOV SS
 * before it has ended; one with RFLAGS.TF set traps.
 */
static void settle_skipped(struct vcpu *vcpu)
{
	struct vmx_vcpu *vmx = vmx_of(vcpu);

	if (vcpu->rip == vmx->rip)
		return;
	vmx->new_interruptibility &= ~VMX_SHADOW;
	vmx->single_step = vcpu->rflags & RFLAGS_TF;
}

/* An NMI that the guest cannot take yet waits for its window. */
static void offer_nmi(struct vcpu *vcpu)
{
	struct vmx_vcpu *vmx = vmx_of(vcpu);

	if (!vmx->nmi_waits) {
		vmx->new_processor &= ~VMX_PROCESSOR_NMI_WINDOW;
		return;
	}
	settle_skipped(vcpu);
	if (!(vmx->event & VMX_EVENT_VALID) &&
	    !(vmx->new_interruptibility & (VMX_SHADOW | VMX_BLOCKED_BY_NMI))) {
		vmx->event = VMX_EVENT_VALID | VECTOR_NMI |
			     field_make(VMX_EVENT_TYPE, VMX_TYPE_NMI);
		vmx->nmi_waits = false;
		vmx->new_processor &= ~VMX_PROCESSOR_NMI_WINDOW;
	} else {
		vmx->new_processor |= VMX_PROCESSOR_NMI_WINDOW;
	}
}

/* "Checks on Guest Non-Register State": between STI or MOV SS and the next
 * instruction, RFLAGS.TF means that a trap is pending. */
static void write_single_step(struct vcpu *vcpu)
{
	struct vmx_vcpu *vmx = vmx_of(vcpu);

	if (!vmx->single_step && !(vmx->new_interruptibility & VMX_SHADOW &&
				   vcpu->rflags & RFLAGS_TF))
		return;
	vmcs_write(VMCS_PENDING_DEBUG,
		   vmcs_read(VMCS_PENDING_DEBUG) | VMX_PENDING_SINGLE_STEP);
	vmx->single_step = false;
}

static void write_event(struct vmx_vcpu *vmx)
{
	if (!(vmx->event & VMX_EVENT_VALID))
		return;
	if (vmx->event & VMX_EVENT_HAS_CODE)
		vmcs_write(VMCS_ENTRY_ERROR_CODE, vmx->event_code);
	if (field_get(VMX_EVENT_TYPE, vmx->event) >= VMX_TYPE_SOFTWARE)
		vmcs_write(VMCS_ENTRY_LENGTH, vmx->event_length);
	vmcs_write(VMCS_ENTRY_EVENT, vmx->event);
}

/* What the kernel has changed since the exit. */
static void write_changes(struct vcpu *vcpu)
{
	struct vmx_vcpu *vmx = vmx_of(vcpu);

	if (vmx->nmi_waits || vmx->new_processor & VMX_PROCESSOR_NMI_WINDOW)
		offer_nmi(vcpu);
	settle_skipped(vcpu);
	write_single_step(vcpu);
	vmcs_write_if_new(VMCS_GUEST_RIP, &vmx->rip, vcpu->rip);
	vmcs_write_if_new(VMCS_GUEST_RSP, &vmx->rsp, vcpu->gpr[RSP]);
	vmcs_write_if_new(VMCS_GUEST_RFLAGS, &vmx->rflags, vcpu->rflags);
	if (vmx->interruptibility != vmx->new_interruptibility)
		vmcs_write(VMCS_INTERRUPTIBILITY, vmx->new_interruptibility);
	vmx->interruptibility = vmx->new_interruptibility;
	if (vmx->processor != vmx->new_processor)
		vmcs_write(VMCS_PROCESSOR, vmx->new_processor);
	vmx->processor = vmx->new_processor;
	if (vmx->apic == VMX_APIC_EMULATED || vcpu->apic.changed)
		vmx_apic_write_changes(vcpu);
	write_event(vmx);
}

/*
 * The deadline of arch_set_deadline() once more: Bochs gives no exit for the
 * timer's interrupt to a guest that was entered with interrupts off.  Rounded
 * up, so that elsewhere the interrupt comes first.
 */
static void set_timer(struct vmx_vcpu *vmx, uint64_t deadline)
{
	uint32_t pin = vmx->pin_always;
	uint64_t now, ticks = 0;

	if (!vmx_controls.timer)
		return;
	if (deadline != ARCH_NO_DEADLINE)
		pin |= VMX_PIN_TIMER;
	if (vmx->pin != pin)
		vmcs_write(VMCS_PIN, pin);
	vmx->pin = pin;
	if (!(pin & VMX_PIN_TIMER))
		return;
	now = read_tsc();
	if (deadline > now)
		ticks = ((deadline - now) >> vmx_controls.timer_shift) + 1;
	vmcs_write(VMCS_TIMER, ticks > ~0u ? ~0u : ticks);
}

static void read_event(struct vmx_vcpu *vmx, const struct vmx_raw *raw)
{
	uint32_t vectoring = vmcs_read(VMCS_VECTORING_EVENT);
	bool iret = raw->event & VMX_EVENT_IRET ||
		    (raw->reason == VMX_REASON_EPT_VIOLATION &&
		     raw->qualification & VMX_EPT_IRET);

	vmx->event = vmx_interrupted_event(vectoring);
	if (vmx->event & VMX_EVENT_HAS_CODE)
		vmx->event_code = vmcs_read(VMCS_VECTORING_ERROR_CODE);
	/* "Updating Non-Register State": what is repeated blocks again. */
	if (field_get(VMX_EVENT_TYPE, vmx->event) == VMX_TYPE_NMI)
		vmx->new_interruptibility &= ~VMX_BLOCKED_BY_NMI;
	else if (iret && !(vectoring & VMX_EVENT_VALID))
		vmx->new_interruptibility |= VMX_BLOCKED_BY_NMI;
}

/* What the guest has changed since the entry. */
static void read_state(struct vcpu *vcpu)
{
	struct vmx_vcpu *vmx = vmx_of(vcpu);

	vmx->launched = true;
	vcpu->rip = vmx->rip = vmcs_read(VMCS_GUEST_RIP);
	vcpu->gpr[RSP] = vmx->rsp = vmcs_read(VMCS_GUEST_RSP);
	vcpu->rflags = vmx->rflags = vmcs_read(VMCS_GUEST_RFLAGS);
	vmx->interruptibility = vmcs_read(VMCS_INTERRUPTIBILITY);
	vmx->new_interruptibility = vmx->interruptibility;
}

static void read_exit(struct vcpu *vcpu, struct vmx_raw *raw,
		      struct vm_exit *exit)
{
	struct vmx_vcpu *vmx = vmx_of(vcpu);
	unsigned int needs;

	*raw = (struct vmx_raw){ .reason = vmcs_read(VMCS_REASON) };
	needs = vmx_needs(raw->reason);
	if (needs & VMX_NEEDS_LENGTH)
		raw->length = vmcs_read(VMCS_EXIT_LENGTH);
	if (needs & VMX_NEEDS_QUALIFICATION)
		raw->qualification = vmcs_read(VMCS_QUALIFICATION);
	if (needs & VMX_NEEDS_ADDRESS)
		raw->guest_physical = vmcs_read(VMCS_GUEST_PHYSICAL);
	if (needs & VMX_NEEDS_EVENT)
		raw->event = vmcs_read(VMCS_EXIT_EVENT);
	vmx_decode(raw, exit);
	if (exit->kind == EXIT_ENTRY_FAILED)
		return;
	read_state(vcpu);
	read_event(vmx, raw);
}

/*
 * An exception of the guest's own that exits only so that this CPU is never
 * lost in it.  The processor has not changed DR6 and DR7 yet: "Debug
 * Exceptions" under "Architectural State before a VM Exit".
 */
static void give_back(struct vmx_vcpu *vmx, const struct vmx_raw *raw)
{
	/* INT1 leaves them alone. */
	if (field_get(VMX_EVENT_VECTOR, raw->event) == VECTOR_DB &&
	    field_get(VMX_EVENT_TYPE, raw->event) == VMX_TYPE_EXCEPTION) {
		write_dr6((read_dr6() & ~BITS(3, 0)) |
			  (raw->qualification & VMX_DEBUG_CAUSES));
		vmcs_write(VMCS_GUEST_DR7, vmcs_read(VMCS_GUEST_DR7) & ~DR7_GD);
	}
	vmx->event = raw->event & (VMX_EVENT_VALID | VMX_EVENT_HAS_CODE |
				   VMX_EVENT_TYPE | VMX_EVENT_VECTOR);
	vmx->event_length = raw->length;
	if (vmx->event & VMX_EVENT_HAS_CODE)
		vmx->event_code = vmcs_read(VMCS_EXIT_ERROR_CODE);
}

/* What the kernel need not know. */
static void finish(struct vcpu *vcpu, const struct vmx_raw *raw,
		   struct vm_exit *exit)
{
	switch (raw->reason) {
	case VMX_REASON_CR:
		if (vmx_cr_access(vcpu, raw->qualification) == ERR_NONE)
			vcpu_skip(vcpu, exit);
		else
			exit->kind = EXIT_BAD_STATE;
		break;
	case VMX_REASON_EOI:
		local_apic_ended(vcpu, (uint8_t)raw->qualification);
		break;
	case VMX_REASON_APIC_WRITE:
		local_apic_written(vcpu, raw->qualification & 0xff0);
		break;
	default:
		if (field_get(VMX_EVENT_VECTOR, raw->event) == VECTOR_MC)
			panic("machine check while vCPU %u of VM %u ran, "
			      "MCG_STATUS 0x%lx",
			      vcpu->index, vcpu->vm->index,
			      read_msr(MSR_MCG_STATUS));
		if (field_get(VMX_EVENT_VECTOR, raw->event) == VECTOR_DB &&
		    vcpu->stepping)
			exit->kind = EXIT_BREAKPOINT;
		else
			give_back(vmx_of(vcpu), raw);
		break;
	}
}

/*
 * The exit has taken the NMI, but its handler may have to stop this CPU; and
 * others stay blocked until the IRET at its end.  SDM 326019, "Updating
 * Non-Register State".
 */
static void take_nmi(void)
{
	__asm__ volatile("int %0" : : "i"(VECTOR_NMI) : "memory");
}

static void explain_failure(enum vmx_entry entry, struct vm_exit *exit)
{
	const char *rule = vmx_explain();

	if (entry == REFUSED) {
		*exit = (struct vm_exit){ .kind = EXIT_ENTRY_FAILED };
		exit->raw[0] = vmcs_read(VMCS_INSTRUCTION_ERROR);
		exit->words = vmx_instruction_error(exit->raw[0]);
	} else if (rule) {
		exit->words = rule;
	}
}

void vmx_vcpu_run(struct vcpu *vcpu, struct vm_exit *exit)
{
	struct cpu *cpu = cpu_self();
	struct vmx_vcpu *vmx = vmx_of(vcpu);
	enum vmx_entry entry;
	struct vmx_raw raw;

	vmx_use(vcpu);
	flush_for(vcpu);
	fpu_use(vcpu);
	use_unswitched(vcpu);
	write_changes(vcpu);
	set_timer(vmx, cpu->timer_set);
	vmx->fast_left = FAST_IN_A_ROW;
	entry = vmx_enter(vcpu, vmx->launched, &cpu->kicked, &vmx->host_rsp);
	exit->kind = EXIT_NONE;
	if (entry == ABORTED)
		return;
	if (entry == HANDLED) {
		read_state(vcpu);
		vmx->event = 0;
		return;
	}
	if (entry == EXITED)
		read_exit(vcpu, &raw, exit);
	if (entry == REFUSED || exit->kind == EXIT_ENTRY_FAILED)
		explain_failure(entry, exit);
	else if (exit->kind == EXIT_NMI)
		take_nmi();
	else if (exit->kind == EXIT_VENDOR)
		finish(vcpu, &raw, exit);
}

void vmx_inject(struct vcpu *vcpu, const struct guest_event *event)
{
	struct vmx_vcpu *vmx = vmx_of(vcpu);
	uint64_t type = event->kind == EVENT_EXCEPTION ? VMX_TYPE_EXCEPTION :
							 VMX_TYPE_INTERRUPT;

	if (event->kind == EVENT_NMI) {
		vmx->nmi_waits = true;
		offer_nmi(vcpu);
		return;
	}
	vmx_use(vcpu);
	vmx->event = VMX_EVENT_VALID | event->vector |
		     field_make(VMX_EVENT_TYPE, type);
	vmx->event_code = event->error_code;
	/* In real mode there are no error codes. */
	if (event->has_error_code && vmcs_read(VMCS_GUEST_CR0) & CR0_PE)
		vmx->event |= VMX_EVENT_HAS_CODE;
	if (event->kind == EVENT_EXCEPTION && event->vector == VECTOR_PF)
		vmx_set_cr2(vcpu, event->cr2);
}

bool vmx_event_pending(struct vcpu *vcpu)
{
	return vmx_of(vcpu)->event & VMX_EVENT_VALID;
}

bool vmx_can_interrupt(struct vcpu *vcpu)
{
	settle_skipped(vcpu);
	return vcpu->rflags & RFLAGS_IF &&
	       !(vmx_of(vcpu)->new_interruptibility & VMX_SHADOW) &&
	       !vmx_event_pending(vcpu);
}

void vmx_flush_tlb(struct vcpu *vcpu)
{
	vmx_of(vcpu)->flush_linear = true;
}

void vmx_want_window(struct vcpu *vcpu, bool want)
{
	struct vmx_vcpu *vmx = vmx_of(vcpu);

	if (want)
		vmx->new_processor |= VMX_PROCESSOR_WINDOW;
	else
		vmx->new_processor &= ~VMX_PROCESSOR_WINDOW;
}
