/* SPDX-License-Identifier: MIT */
/*
 * What stock kernels have for KVM beside its clock (guest_clock.h): ends of
 * interrupts by memory, stolen time, and hypercalls.  To whom it is offered
 * says kernel/exits/kvm_table.def.  Linux, Documentation/virt/kvm/x86/:
 * cpuid.rst, msr.rst, hypercalls.rst.  All addresses are the guest's word;
 * what is not its RAM is refused or, later, switches the feature off.
 */
#ifndef MULLION_PARAVIRTUAL_H
#define MULLION_PARAVIRTUAL_H

#include <mullion/bits.h>
#include <mullion/error.h>
#include <stdbool.h>
#include <stdint.h>

struct vcpu;
struct vm;

#define MSR_KVM_STEAL_TIME 0x4b564d03
#define MSR_KVM_PV_EOI 0x4b564d04

#define KVM_FEATURE_STEAL_TIME BIT(5)
#define KVM_FEATURE_PV_EOI BIT(6)
#define KVM_FEATURE_PV_UNHALT BIT(7)
#define KVM_FEATURE_PV_SEND_IPI BIT(11)
#define KVM_FEATURE_PV_SCHED_YIELD BIT(13)
#define KVM_HINT_REALTIME BIT(0) /* vCPUs are never preempted */

/* Hypercall numbers, from the first to the last that may be offered. */
#define KVM_CALL_KICK_CPU 5
#define KVM_CALL_SEND_IPI 10
#define KVM_CALL_SCHED_YIELD 11

/* A vCPU's end of interrupts by memory. */
struct guest_eoi {
	uint64_t msr; /* as the guest wrote it; bit 0: on */
	bool offered; /* the guest may end the interrupt in service there */
};

/* A vCPU's stolen time. */
struct guest_steal {
	uint64_t msr;	/* as the guest wrote it; bit 0: on */
	uint64_t ticks; /* in which others ran instead, since it was on */
	uint64_t since; /* arch_time(): it could run, but does not; 0: no */
	uint32_t version;
	bool away; /* the guest has been told that it does not run */
};

/* Chooses what @vm's guest will be offered, by what is true now: its home CPU,
 * before its vCPUs begin. */
void paravirtual_choose(struct vm *vm);

/* The guest writes an address; an error means #GP(0).  All that follows is for
 * the vCPU's own CPU. */
enum error guest_eoi_write(struct vcpu *vcpu, uint64_t value);
enum error guest_steal_write(struct vcpu *vcpu, uint64_t value);

/* Puts @vector, which is about to be delivered, in service, and lets the guest
 * end it in memory if there is no other to look after then. */
void guest_eoi_accept(struct vcpu *vcpu, uint8_t vector);
/* Ends the interrupt in the local APIC, if the guest has ended it in memory. */
void guest_eoi_settle(struct vcpu *vcpu);
/* The same, and what it has not ended needs an exit from now on. */
void guest_eoi_take_back(struct vcpu *vcpu);

/* @vcpu leaves its CPU to another or to nobody; it could run, but another is
 * before it; it is about to run again. */
void guest_steal_leave(struct vcpu *vcpu, uint64_t now);
void guest_steal_wait(struct vcpu *vcpu, uint64_t now);
void guest_steal_return(struct vcpu *vcpu, uint64_t now);

/* Does KVM's hypercall @number, arguments in the guest's registers; the result
 * is what the guest finds in RAX.  @wide: from 64-bit code. */
int64_t kvm_call(struct vcpu *vcpu, uint64_t number, bool wide);

#endif
