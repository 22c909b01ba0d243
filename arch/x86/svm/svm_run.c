/* SPDX-License-Identifier: MIT */
/* Into the guest and out of it, and what is delivered on the way. */
#include "svm.h"
#include "../cpu.h"
#include "../fpu.h"
#include "../registers.h"
#include <mullion/arch.h>
#include <mullion/fast_exit.h>
#include <mullion/log.h>
#include <mullion/vm.h>
#include <string.h>

/* What svm_enter.S says: nothing of the guest ran; an exit is to be handled;
 * the short path has handled it, but the loop must look around. */
enum svm_entry { CALLED_OFF = 0, EXITED = 1, HANDLED = 3 };
static_assert(EXITED == FAST_LONG_WAY + 1 && HANDLED == FAST_LOOK + 1,
	      "svm_enter.S counts on it");

enum svm_entry svm_enter(struct vcpu *vcpu, uint64_t vmcb, uint64_t host,
			 volatile bool *kicked);

/* Every vCPU has ASID 1 and the same windows on its code, so what another
 * left must go when it enters. */
static void flush_for(struct vcpu *vcpu, struct cpu *cpu)
{
	struct vmcb *vmcb = vmcb_of(vcpu);

	if (cpu->fpu_owner == vcpu)
		return;
	vmcb->tlb_control = SVM_TLB_FLUSH_ALL;
	code_views_drop(svm_of(vcpu)->views);
	write_cr2(vmcb->cr2); /* see svm_inject() */
}

/*
 * QEMU 7.2 exits with 32 bits of ones where a running guest loads a control
 * register with reserved bits, which is #GP on a processor.  A failed entry
 * has the same code there, but with the host's state in the save area, or
 * with the event that was to be delivered.
 */
static bool is_refused_load(const struct vmcb *vmcb)
{
	return vmcb->exit_code == SVM_EXIT_INVALID &&
	       !(vmcb->exit_int_info & SVM_EVENT_VALID) &&
	       (vmcb->rsp & ~(CPU_AREA_SIZE - 1)) != (uint64_t)cpu_self();
}

/* Frequent exits whose length the processor may not give: their bytes as a
 * little-endian number, without prefixes. */
static const struct plain_code {
	uint32_t bytes, mask;
	uint8_t length;
} plain_codes[EXIT_KIND_COUNT] = {
	[EXIT_CPUID] = { CODE_CPUID, 0xffff, 2 },
	[EXIT_HALT] = { CODE_HLT, 0xff, 1 },
	[EXIT_MSR_READ] = { CODE_RDMSR, 0xffff, 2 },
	[EXIT_MSR_WRITE] = { CODE_WRMSR, 0xffff, 2 },
	[EXIT_HYPERCALL] = { CODE_VMMCALL, 0xffffff, 3 },
};

/* The length by a view of the guest's code, which the short path uses from
 * then on; 0: to be found the slow way. */
static uint8_t length_by_view(struct vcpu *vcpu, enum exit_kind kind)
{
	const struct plain_code *plain = &plain_codes[kind];
	const struct vmcb *vmcb = vmcb_of(vcpu);
	struct code_view *views = svm_of(vcpu)->views;
	const struct code_view *view = code_view_for(views, vmcb->rip);
	uint32_t bytes;

	if (plain->length == 0 || !(vmcb->cs.attributes & SVM_SEGMENT_LONG))
		return 0;
	if (!code_view_holds(view, vmcb->rip, vmcb->cr3))
		code_view_fill(views, vcpu, vmcb);
	if (!code_view_holds(view, vmcb->rip, vmcb->cr3))
		return 0;
	memcpy(&bytes, view->code + (vmcb->rip - view->page), sizeof bytes);
	return (bytes & plain->mask) == plain->bytes ? plain->length : 0;
}

/* The guest is at the IRET that ends its NMI handler. */
static void leave_nmi(struct svm_vcpu *svm)
{
	svm->nmi = NMI_LEAVING;
	svm->iret_rip = svm->vmcb->rip;
	svm->vmcb->intercept_1 &= ~SVM_INTERCEPT_IRET;
}

/*
 * An exception that exits only so that this CPU is never lost in it: one whose
 * delivery raises it again would go on for ever inside the processor.  DR6 and
 * DR7 in the VMCB are as its handler must see them: "#DB (Debug)" under
 * "Exception Intercepts".
 */
static void give_back(struct vmcb *vmcb, uint64_t vector)
{
	vmcb->event_injection = SVM_EVENT_VALID | vector |
				field_make(SVM_EVENT_TYPE, SVM_TYPE_EXCEPTION);
	if (vector == VECTOR_AC)
		vmcb->event_injection |= SVM_EVENT_HAS_CODE; /* 0 */
}

/* What the kernel need not know. */
static void finish(struct vcpu *vcpu, struct vm_exit *exit)
{
	uint64_t vector = exit->raw[0] - SVM_EXIT_EXCEPTION;

	if (exit->raw[0] == SVM_EXIT_IRET)
		leave_nmi(svm_of(vcpu));
	else if (exit->raw[0] == SVM_EXIT_CR8_WRITE)
		svm_write_cr8(vcpu);
	else if (vector == VECTOR_MC)
		panic("machine check while vCPU %u of VM %u ran", vcpu->index,
		      vcpu->vm->index);
	else if (vector == VECTOR_DB && vcpu->stepping)
		exit->kind = EXIT_BREAKPOINT;
	else
		give_back(vmcb_of(vcpu), vector);
}

static void read_exit(struct vcpu *vcpu, struct vm_exit *exit)
{
	struct vmcb *vmcb = vmcb_of(vcpu);
	struct svm_raw raw = {
		.code = vmcb->exit_code,
		.info_1 = vmcb->exit_info_1,
		.info_2 = vmcb->exit_info_2,
		.rip = vmcb->rip,
		.next_rip = svm_has_next_rip ? vmcb->next_rip : 0,
	};

	svm_decode(&raw, exit);
	/* An interrupted delivery is repeated, unless this exit ends it. */
	vmcb->event_injection = svm_interrupted_event(vmcb->exit_int_info);
	if (exit->kind == EXIT_VENDOR)
		finish(vcpu, exit);
	if (exit->kind == EXIT_WINDOW)
		vmcb->v_intr &= ~SVM_V_IRQ;
	if (exit->length == 0)
		exit->length = length_by_view(vcpu, exit->kind);
	if (exit->kind == EXIT_ENTRY_FAILED && is_refused_load(vmcb))
		exit->kind = EXIT_BAD_STATE;
}

/* The shadow of STI or MOV SS is over when an instruction was skipped. */
static bool in_shadow(const struct vcpu *vcpu)
{
	const struct vmcb *vmcb = vmcb_of(vcpu);

	return vmcb->interrupt_shadow & 1 && vmcb->rip == vcpu->rip;
}

/*
 * From an NMI to the end of its handler, the IRET, no other is delivered.  SVM
 * leaves that to the hypervisor: IRET exits before it is done, and after it
 * RIP has moved.  An NMI that waits then asks for a window, so that it comes
 * soon if the IRET has switched interrupts on, else at the next exit.
 */
static void offer_nmi(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = svm_of(vcpu);
	struct vmcb *vmcb = svm->vmcb;

	if (svm->nmi == NMI_LEAVING && vcpu->rip != svm->iret_rip)
		svm->nmi = NMI_OPEN;
	if (!svm->nmi_waits || vmcb->event_injection & SVM_EVENT_VALID)
		return;
	if (svm->nmi == NMI_LEAVING)
		svm_want_window(vcpu, true);
	if (svm->nmi != NMI_OPEN || in_shadow(vcpu))
		return;
	vmcb->event_injection = SVM_EVENT_VALID | VECTOR_NMI |
				field_make(SVM_EVENT_TYPE, SVM_TYPE_NMI);
	vmcb->intercept_1 |= SVM_INTERCEPT_IRET;
	svm->nmi = NMI_BLOCKED;
	svm->nmi_waits = false;
}

/*
 * QEMU 7.2 leaves the number of an interrupt that VMRUN injects where exceptions
 * wait (exception_index) until the guest exits.  When its budget of instructions
 * ends before, under -icount, it delivers that once more, even to a handler that
 * has interrupts off.  A virtual interrupt does not have that fault; but for one,
 * QEMU changes interrupt_request without a lock, which loses interrupts where
 * CPUs are threads.
 */
static void inject_virtually(struct svm_vcpu *svm)
{
	struct vmcb *vmcb = svm->vmcb;

	if (!(vmcb->event_injection & SVM_EVENT_VALID) ||
	    field_get(SVM_EVENT_TYPE, vmcb->event_injection) !=
		    SVM_TYPE_INTERRUPT)
		return;
	/* A window for the next one is opened again after the exit. */
	vmcb->intercept_1 &= ~SVM_INTERCEPT_VINTR;
	svm->virtual = vmcb->event_injection;
	vmcb->v_intr |= SVM_V_REQUEST;
	vmcb->v_intr_vector = svm->virtual & SVM_EVENT_VECTOR;
	vmcb->event_injection = 0;
}

/* What the guest has not taken is told as if its delivery had been interrupted,
 * or waits as before, where the guest was not entered. */
static void end_virtual(struct vcpu *vcpu, enum svm_entry entry)
{
	struct svm_vcpu *svm = svm_of(vcpu);
	struct vmcb *vmcb = svm->vmcb;

	if (entry == CALLED_OFF)
		vmcb->event_injection = svm->virtual;
	else if (vmcb->v_intr & SVM_V_IRQ)
		vmcb->exit_int_info = svm->virtual;
	vmcb->v_intr &= ~SVM_V_REQUEST;
	svm->virtual = 0;
	if (vcpu->wants_window)
		svm_want_window(vcpu, true);
}

void svm_vcpu_run(struct vcpu *vcpu, struct vm_exit *exit)
{
	struct cpu *cpu = cpu_self();
	struct vmcb *vmcb = vmcb_of(vcpu);
	uint64_t dr6 = vmcb->dr6;
	enum svm_entry entry;

	if (svm_of(vcpu)->has_apic != vcpu->apic.given)
		svm_follow_apic(vcpu);
	flush_for(vcpu, cpu);
	fpu_use(vcpu);
	offer_nmi(vcpu);
	vmcb->interrupt_shadow = in_shadow(vcpu);
	vmcb->rax = vcpu->gpr[RAX];
	vmcb->rsp = vcpu->gpr[RSP];
	vmcb->rip = vcpu->rip;
	vmcb->rflags = vcpu->rflags;
	vmcb->v_intr = (vmcb->v_intr & ~SVM_V_TPR) |
		       local_apic_cr8(&vcpu->apic);
	if (vmcb->event_injection && clock_counts_instructions)
		inject_virtually(svm_of(vcpu));
	entry = svm_enter(vcpu, svm_of(vcpu)->vmcb_physical,
			  cpu->vendor_save_physical, &cpu->kicked);
	if (svm_of(vcpu)->virtual)
		end_virtual(vcpu, entry);
	exit->kind = EXIT_NONE;
	if (entry == CALLED_OFF)
		return;
	vmcb->tlb_control = 0;
	if (entry == EXITED)
		read_exit(vcpu, exit);
	else
		vmcb->event_injection = 0;
	/* What the save area holds then may be the host's. */
	if (exit->kind == EXIT_ENTRY_FAILED)
		return;
	/* A debugger's step is not for the guest to see; on VT-x the processor
	 * leaves DR6 alone. */
	if (exit->kind == EXIT_BREAKPOINT && vcpu->stepping)
		vmcb->dr6 = (vmcb->dr6 & ~DR6_SINGLE_STEP) |
			    (dr6 & DR6_SINGLE_STEP);
	vcpu->gpr[RAX] = vmcb->rax;
	vcpu->gpr[RSP] = vmcb->rsp;
	vcpu->rip = vmcb->rip;
	vcpu->rflags = vmcb->rflags;
	local_apic_set_cr8(&vcpu->apic, vmcb->v_intr & 0xf);
}

void svm_inject(struct vcpu *vcpu, const struct guest_event *event)
{
	static const uint8_t types[] = {
		[EVENT_INTERRUPT] = SVM_TYPE_INTERRUPT,
		[EVENT_EXCEPTION] = SVM_TYPE_EXCEPTION,
		[EVENT_SOFTWARE] = SVM_TYPE_SOFTWARE,
	};
	struct vmcb *vmcb = vmcb_of(vcpu);

	if (event->kind == EVENT_NMI) {
		svm_of(vcpu)->nmi_waits = true;
		return;
	}
	vmcb->event_injection = SVM_EVENT_VALID | event->vector |
				field_make(SVM_EVENT_TYPE, types[event->kind]) |
				(event->has_error_code ?
					 SVM_EVENT_HAS_CODE |
						 field_make(SVM_EVENT_CODE,
							    event->error_code) :
					 0);
	if (event->kind != EVENT_EXCEPTION || event->vector != VECTOR_PF)
		return;
	vmcb->cr2 = event->cr2;
	write_cr2(event->cr2); /* Bochs 2.7: VMRUN does not load it */
}

bool svm_event_pending(struct vcpu *vcpu)
{
	const struct svm_vcpu *svm = svm_of(vcpu);

	return svm->vmcb->event_injection & SVM_EVENT_VALID ||
	       (svm->nmi_waits && svm->nmi == NMI_OPEN);
}

bool svm_can_interrupt(struct vcpu *vcpu)
{
	return vcpu->rflags & RFLAGS_IF && !in_shadow(vcpu) &&
	       !svm_event_pending(vcpu);
}

void svm_flush_tlb(struct vcpu *vcpu)
{
	vmcb_of(vcpu)->tlb_control = SVM_TLB_FLUSH_ALL;
	/* A frame that is shown may have gone. */
	if (vcpu->vm->memory.elastic)
		code_views_drop(svm_of(vcpu)->views);
}

/* A virtual interrupt that is only a window: it exits before it is taken. */
void svm_want_window(struct vcpu *vcpu, bool want)
{
	struct vmcb *vmcb = vmcb_of(vcpu);

	svm_watch_cr8(vmcb, want);
	if (want) {
		vmcb->intercept_1 |= SVM_INTERCEPT_VINTR;
		vmcb->v_intr |= SVM_V_REQUEST;
	} else {
		vmcb->intercept_1 &= ~SVM_INTERCEPT_VINTR;
		vmcb->v_intr &= ~SVM_V_REQUEST;
	}
}
