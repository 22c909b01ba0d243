/* SPDX-License-Identifier: MIT */
/* A vCPU's registers as the operator sees them. */
#include <mullion/bits.h>
#include <mullion/manage.h>
#include <mullion/vm.h>
#include <string.h>

#define RFLAGS_FIXED BIT(1)
#define MSR_STAR 0xc0000081
#define MSR_LSTAR 0xc0000082
#define MSR_SFMASK 0xc0000084
#define MSR_KERNEL_GS_BASE 0xc0000102

struct vcpu_look vcpu_look;

static_assert(sizeof(struct mull_segment) == sizeof(struct guest_segment) &&
		      ARRAY_COUNT(vcpu_look.registers.segments) ==
			      SEGMENT_COUNT &&
		      ARRAY_COUNT(vcpu_look.registers.gpr) == GPR_COUNT,
	      "copied whole");

/* SDM 335592, "IA-32 Architectural MSRs"; APM 24593, "MSR Cross-Reference". */
static const struct {
	uint32_t msr;
	size_t offset;
} switched[] = {
	{ MSR_KERNEL_GS_BASE, offsetof(struct mull_registers, kernel_gs_base) },
	{ MSR_STAR, offsetof(struct mull_registers, star) },
	{ MSR_LSTAR, offsetof(struct mull_registers, lstar) },
	{ MSR_SFMASK, offsetof(struct mull_registers, fmask) },
};

static uint64_t *msr_at(struct mull_registers *registers, size_t i)
{
	return (uint64_t *)((uint8_t *)registers + switched[i].offset);
}

/* The system registers that can be set; they have the same names in both. */
#define FOR_EACH_SYSTEM(DO) \
	DO(cr0) \
	DO(cr2) \
	DO(cr3) \
	DO(cr4) \
	DO(efer) \
	DO(dr7) \
	DO(gdt_base) \
	DO(idt_base) \
	DO(gdt_limit) \
	DO(idt_limit)

static void read_registers(struct vcpu *vcpu, struct mull_registers *to)
{
	struct guest_system system;

	virt->read_system(vcpu, &system);
	memset(to, 0, sizeof *to);
	memcpy(to->gpr, vcpu->gpr, sizeof to->gpr);
	to->rip = vcpu->rip;
	to->rflags = vcpu->rflags;
#define READ(name) to->name = system.name;
	FOR_EACH_SYSTEM(READ)
	to->dr6 = system.dr6;
	memcpy(to->segments, system.segments, sizeof to->segments);
	for (size_t i = 0; i < ARRAY_COUNT(switched); i++)
		virt->read_msr(vcpu, switched[i].msr, msr_at(to, i));
	to->vcpu = vcpu->index;
	to->halted = vcpu->paused_in == VCPU_HALTED  ? 1 :
		     vcpu->paused_in == VCPU_WAITING ? 2 :
						       0;
}

/* All of them, or none when one is refused. */
static enum error write_msrs(struct vcpu *vcpu, struct mull_registers *from)
{
	uint64_t before[ARRAY_COUNT(switched)];
	enum error error;

	for (size_t i = 0; i < ARRAY_COUNT(switched); i++) {
		virt->read_msr(vcpu, switched[i].msr, &before[i]);
		error = virt->write_msr(vcpu, switched[i].msr,
					*msr_at(from, i));
		if (error == ERR_NONE)
			continue;
		while (i--)
			virt->write_msr(vcpu, switched[i].msr, before[i]);
		return error;
	}
	return ERR_NONE;
}

/* What the processor refuses of it ends the VM, with words, at the entry. */
static enum error write_registers(struct vcpu *vcpu,
				  struct mull_registers *from)
{
	enum error error = write_msrs(vcpu, from);
	struct guest_system system;

	if (error)
		return error;
	virt->read_system(vcpu, &system);
#define WRITE(name) system.name = from->name;
	FOR_EACH_SYSTEM(WRITE)
	memcpy(system.segments, from->segments, sizeof system.segments);
	system.cpl = system.segments[SEGMENT_SS].attributes >> 5 & 3;
	virt->write_system(vcpu, &system);
	memcpy(vcpu->gpr, from->gpr, sizeof vcpu->gpr);
	vcpu->rip = from->rip;
	vcpu->rflags = from->rflags | RFLAGS_FIXED;
	if (vcpu->paused_in == VCPU_HALTED && !from->halted)
		vcpu->paused_in = VCPU_RUNNABLE;
	return ERR_NONE;
}

void vcpu_exchange(struct vcpu *vcpu)
{
	struct vcpu_look *look = &vcpu_look;

	look->error = ERR_NONE;
	if (look->write)
		look->error = write_registers(vcpu, &look->registers);
	else
		read_registers(vcpu, &look->registers);
	atomic_store(&look->done, true);
	manage_notify();
}
