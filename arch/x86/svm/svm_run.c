/* SPDX-License-Identifier: MIT */
/* Into the guest and out of it, and what is delivered on the way. */
#include "svm.h"
#include "../cpu.h"
#include "../fpu.h"
#include "../registers.h"
#include <mullion/arch.h>
#include <mullion/fast_exit.h>
#include <mullion/vm.h>

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
}

/*
 * QEMU 7.2 exits with 32 bits of ones where a running guest loads a control
 * register with reserved bits, which is #GP on a processor.  A failed entry
 * has the same code there, but with the host's state in the save area.
 */
static bool is_refused_load(const struct vmcb *vmcb)
{
	return vmcb->exit_code == SVM_EXIT_INVALID &&
	       (vmcb->rsp & ~(CPU_AREA_SIZE - 1)) != (uint64_t)cpu_self();
}

/* The short path wants to see the code of these (svm_fast.c). */
static bool is_hot(enum exit_kind kind)
{
	return kind == EXIT_CPUID || kind == EXIT_HYPERCALL ||
	       kind == EXIT_MSR_READ || kind == EXIT_MSR_WRITE;
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
	if (exit->kind == EXIT_WINDOW)
		vmcb->v_intr &= ~SVM_V_IRQ;
	if (exit->length == 0 && is_hot(exit->kind))
		code_view_fill(svm_of(vcpu)->views, vcpu, vmcb);
	if (exit->kind == EXIT_ENTRY_FAILED && is_refused_load(vmcb))
		exit->kind = EXIT_BAD_STATE;
}

/* The shadow of STI or MOV SS is over when an instruction was skipped. */
static bool in_shadow(const struct vcpu *vcpu)
{
	const struct vmcb *vmcb = vmcb_of(vcpu);

	return vmcb->interrupt_shadow & 1 && vmcb->rip == vcpu->rip;
}

void svm_vcpu_run(struct vcpu *vcpu, struct vm_exit *exit)
{
	struct cpu *cpu = cpu_self();
	struct vmcb *vmcb = vmcb_of(vcpu);
	enum svm_entry entry;

	flush_for(vcpu, cpu);
	fpu_use(vcpu);
	vmcb->interrupt_shadow = in_shadow(vcpu);
	vmcb->rax = vcpu->gpr[RAX];
	vmcb->rsp = vcpu->gpr[RSP];
	vmcb->rip = vcpu->rip;
	vmcb->rflags = vcpu->rflags;
	vmcb->v_intr = (vmcb->v_intr & ~SVM_V_TPR) |
		       local_apic_cr8(&vcpu->apic);
	entry = svm_enter(vcpu, svm_of(vcpu)->vmcb_physical,
			  cpu->vendor_save_physical, &cpu->kicked);
	exit->kind = EXIT_NONE;
	if (entry == CALLED_OFF)
		return;
	vmcb->tlb_control = 0;
	if (entry == EXITED)
		read_exit(vcpu, exit);
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
		[EVENT_NMI] = SVM_TYPE_NMI,
		[EVENT_EXCEPTION] = SVM_TYPE_EXCEPTION,
	};
	struct vmcb *vmcb = vmcb_of(vcpu);

	vmcb->event_injection =
		SVM_EVENT_VALID | event->vector |
		field_make(SVM_EVENT_TYPE, types[event->kind]) |
		(event->has_error_code ?
		 SVM_EVENT_HAS_CODE |
		 field_make(SVM_EVENT_CODE, event->error_code) : 0);
	if (event->kind == EVENT_EXCEPTION && event->vector == 14)
		vmcb->cr2 = event->cr2;
}

bool svm_event_pending(struct vcpu *vcpu)
{
	return vmcb_of(vcpu)->event_injection & SVM_EVENT_VALID;
}

bool svm_can_interrupt(struct vcpu *vcpu)
{
	return vcpu->rflags & RFLAGS_IF && !in_shadow(vcpu) &&
	       !svm_event_pending(vcpu);
}

/* A virtual interrupt that is only a window: it exits before it is taken. */
void svm_want_window(struct vcpu *vcpu, bool want)
{
	struct vmcb *vmcb = vmcb_of(vcpu);

	if (want) {
		vmcb->intercept_1 |= SVM_INTERCEPT_VINTR;
		vmcb->v_intr |= SVM_V_IRQ | SVM_V_IGNORE_TPR |
				SVM_V_INTR_PRIORITY;
	} else {
		vmcb->intercept_1 &= ~SVM_INTERCEPT_VINTR;
		vmcb->v_intr &= ~(SVM_V_IRQ | SVM_V_IGNORE_TPR |
				  SVM_V_INTR_PRIORITY);
	}
}

