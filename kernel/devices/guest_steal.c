/* SPDX-License-Identifier: MIT */
/*
 * Stolen time, and who runs: a page of each vCPU tells how long others had its
 * CPU while it could have run, and whether it runs now.  Others of its VM may
 * ask there for a flush of its TLB instead of interrupting it; so the byte is
 * exchanged at once, and the flush done before it runs again.  msr.rst,
 * "MSR_KVM_STEAL_TIME"; cpuid.rst, "KVM_FEATURE_PV_TLB_FLUSH".
 */
#include <assert.h>
#include <mullion/arch.h>
#include <mullion/log.h>
#include <mullion/paravirtual.h>
#include <mullion/vm.h>

#define STEAL_ON BIT(0)
#define STEAL_RESERVED BITS(5, 1)

/* struct kvm_steal_time of KVM's contract. */
struct steal_page {
	uint64_t steal;	  /* ns */
	uint32_t version; /* odd while it changes */
	uint32_t flags;
	uint8_t preempted;
	uint8_t pad[47];
};
static_assert(sizeof(struct steal_page) == 64, "kvm_steal_time");

/* Of "preempted". */
#define DOES_NOT_RUN 1
#define FLUSH_TLB 2

static gpa_t place(const struct vcpu *vcpu, uint64_t offset)
{
	return gpa((vcpu->steal.msr & ~BITS(5, 0)) + offset);
}

static void check(struct vcpu *vcpu, enum error error)
{
	if (error == ERR_NONE)
		return;
	log_guest(vcpu, "stolen time at 0x%lx is not in its memory",
		  place(vcpu, 0).value);
	vcpu->steal.msr = 0;
}

/* One after the other: who reads them looks at the version before and after. */
static void show(struct vcpu *vcpu)
{
	const struct guest_memory *memory = &vcpu->vm->memory;
	struct guest_steal *steal = &vcpu->steal;
	uint64_t ns = arch_time_ns(steal->ticks);
	gpa_t version = place(vcpu, offsetof(struct steal_page, version));
	enum error error;

	steal->version++;
	error = guest_write(memory, version, &steal->version,
			    sizeof steal->version);
	if (error == ERR_NONE)
		error = guest_write(memory, place(vcpu, 0), &ns, sizeof ns);
	steal->version++;
	if (error == ERR_NONE)
		error = guest_write(memory, version, &steal->version,
				    sizeof steal->version);
	check(vcpu, error);
}

enum error guest_steal_write(struct vcpu *vcpu, uint64_t value)
{
	if (!(vcpu->vm->kvm_features & KVM_FEATURE_STEAL_TIME) ||
	    value & STEAL_RESERVED)
		return ERR_BAD_REQUEST;
	vcpu->steal.msr = value;
	if (!(value & STEAL_ON))
		return ERR_NONE;
	if (!guest_is_ram(&vcpu->vm->memory, place(vcpu, 0),
			  sizeof(struct steal_page))) {
		check(vcpu, ERR_BAD_ADDRESS);
		return ERR_BAD_ADDRESS;
	}
	show(vcpu);
	return ERR_NONE;
}

static uint8_t exchange(struct vcpu *vcpu, uint8_t preempted)
{
	uint8_t old = 0;

	check(vcpu, guest_exchange_8(
			    &vcpu->vm->memory,
			    place(vcpu, offsetof(struct steal_page, preempted)),
			    preempted, &old));
	return old;
}

void guest_steal_leave(struct vcpu *vcpu, uint64_t now)
{
	/* Parked, its memory may be the next guest's already. */
	if (!(vcpu->steal.msr & STEAL_ON) || vcpu->steal.away ||
	    vcpu->state == VCPU_PARKED)
		return;
	vcpu->steal.away = true;
	vcpu->steal.since = vcpu->state == VCPU_RUNNABLE ? now : 0;
	exchange(vcpu, DOES_NOT_RUN);
}

void guest_steal_wait(struct vcpu *vcpu, uint64_t now)
{
	if (vcpu->steal.away)
		vcpu->steal.since = now;
}

void guest_steal_return(struct vcpu *vcpu, uint64_t now)
{
	struct guest_steal *steal = &vcpu->steal;

	if (!steal->away)
		return;
	steal->away = false;
	if (steal->since)
		steal->ticks += now - steal->since;
	steal->since = 0;
	if (!(steal->msr & STEAL_ON))
		return;
	if (exchange(vcpu, 0) & FLUSH_TLB)
		virt->flush_tlb(vcpu);
	if (steal->msr & STEAL_ON)
		show(vcpu);
}
