/* SPDX-License-Identifier: MIT */
/* Which VMs are given the local APICs of their CPUs. */
#include <mullion/cpu_loop.h>
#include <mullion/description.h>
#include <mullion/package_reader.h>
#include <mullion/virt.h>
#include <mullion/vm.h>

bool local_apic_is_for(const struct vm *vm)
{
	const struct mull_vm *description = &vm->description;

	if (!virt->gives_apic || !virt->gives_apic() || vm->pc ||
	    description->flags & MULL_VM_EMULATED_APIC ||
	    mull_is_scheduled(description) ||
	    boot_package.machine.flags & MULL_MACHINE_SHARE_CPUS)
		return false;
	for (uint32_t i = 0; i < description->vcpu_count; i++)
		if (description->cpus[i] == cpu_loop_service())
			return false;
	return true;
}
