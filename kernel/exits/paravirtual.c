/* SPDX-License-Identifier: MIT */
/* Which of KVM's paravirtual features a VM is offered: kvm_table.def. */
#include <mullion/cpu_loop.h>
#include <mullion/description.h>
#include <mullion/package_reader.h>
#include <mullion/paravirtual.h>
#include <mullion/vm.h>

enum when {
	WHEN_ALWAYS,
	WHEN_WITHOUT_DELIVERY,
	WHEN_SEVERAL,
	WHEN_SHARED,
	WHEN_NEVER,
};

#define KVM_FEATURE(bit, when, name, why) { bit, WHEN_##when },
static const struct feature {
	uint8_t bit;
	uint8_t when; /* enum when */
} features[] = {
#include "kvm_table.def"
};

/* So many that one call for all of the others is better than one for each. */
#define SEVERAL_VCPUS 3

static bool shares_a_cpu(const struct vm *vm)
{
	for (uint32_t i = 0; i < vm->vcpu_count; i++)
		if (vm_vcpus_on(vm->vcpus[i]->cpu) > 1)
			return true;
	return false;
}

static bool is_so(const struct vm *vm, enum when when)
{
	switch (when) {
	case WHEN_ALWAYS:
		return true;
	case WHEN_WITHOUT_DELIVERY:
		return !vm->gives_apics &&
		       (!virt->delivers || !virt->delivers(NULL));
	case WHEN_SEVERAL:
		return vm->vcpu_count >= SEVERAL_VCPUS;
	case WHEN_SHARED:
		return shares_a_cpu(vm);
	case WHEN_NEVER:
		break;
	}
	return false;
}

void paravirtual_choose(struct vm *vm)
{
	vm->kvm_features = 0;
	for (size_t i = 0; i < ARRAY_COUNT(features); i++)
		if (is_so(vm, features[i].when))
			vm->kvm_features |= (uint32_t)BIT(features[i].bit);
	/* Not if another VM could come to share a CPU with it later. */
	vm->kvm_hints = boot_package.machine.flags & MULL_MACHINE_SHARE_CPUS ||
					mull_is_scheduled(&vm->description) ?
				0 :
				KVM_HINT_REALTIME;
}
