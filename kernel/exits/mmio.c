/* SPDX-License-Identifier: MIT */
/*
 * Accesses outside the guest's RAM: its APICs and PCI functions, shared memory
 * that it may only read, and the hole, where reads give all ones and writes
 * vanish, as on a PC's empty bus.
 */
#include <mullion/balloon.h>
#include <mullion/bits.h>
#include <mullion/cpuid.h>
#include <mullion/emulate.h>
#include <mullion/exits.h>
#include <mullion/guest.h>
#include <mullion/log.h>
#include <mullion/shared_port.h>
#include <mullion/trace.h>
#include <mullion/vm.h>

#define VECTOR_UD 6

static bool is_in(gpa_t at, size_t size, uint64_t page)
{
	uint64_t offset = at.value - page;

	return offset < PAGE_SIZE && size <= PAGE_SIZE - offset;
}

static uint64_t read_device(void *context, gpa_t at, size_t size)
{
	struct vcpu *vcpu = context;
	struct vm *vm = vcpu->vm;
	uint64_t value;

	if (is_in(at, size, MULL_GUEST_LOCAL_APIC) &&
	    local_apic_is_xapic(&vcpu->apic))
		return local_apic_mmio_read(vcpu, at.value & 0xfff, size);
	if (is_in(at, size, MULL_GUEST_IO_APIC)) {
		lock_take(&vm->device_lock);
		value = io_apic_read(vm, at.value & 0xfff, size);
		lock_give(&vm->device_lock);
		return value;
	}
	if (guest_pci_is_at(vm, at)) {
		lock_take(&vm->device_lock);
		value = guest_pci_read(vm, at, (uint32_t)size);
		lock_give(&vm->device_lock);
		return value;
	}
	if (shared_ports_read(vm, at, &value, size))
		return value;
	log_guest(vcpu, "reads 0x%lx, where nothing is", at.value);
	return ~0ull;
}

static void write_device(void *context, gpa_t at, size_t size, uint64_t value)
{
	struct vcpu *vcpu = context;
	struct vm *vm = vcpu->vm;
	bool refused;

	if (is_in(at, size, MULL_GUEST_LOCAL_APIC) &&
	    local_apic_is_xapic(&vcpu->apic)) {
		local_apic_mmio_write(vcpu, at.value & 0xfff, size, value);
		return;
	}
	if (is_in(at, size, MULL_GUEST_IO_APIC)) {
		lock_take(&vm->device_lock);
		io_apic_write(vm, at.value & 0xfff, size, value);
		lock_give(&vm->device_lock);
		return;
	}
	if (guest_pci_is_at(vm, at)) {
		lock_take(&vm->device_lock);
		guest_pci_write(vm, at, (uint32_t)size, value);
		lock_give(&vm->device_lock);
		return;
	}
	if (!shared_ports_write(vm, at, value, size, &refused))
		log_guest(vcpu, "writes 0x%lx, where nothing is", at.value);
	else if (refused)
		log_guest(vcpu,
			  "writes 0x%lx of shared memory that it may "
			  "only read",
			  at.value);
}

static void end_of_guest(struct vcpu *vcpu, const struct vm_exit *exit,
			 const char *what)
{
	vm_end(vcpu->vm, MULL_END_BAD_EXIT, 0,
	       "%s at 0x%lx, where there is no memory (vCPU %u, RIP 0x%lx)",
	       what, exit->memory.address.value, vcpu->index, vcpu->rip);
}

static void emulate(struct vcpu *vcpu, const struct vm_exit *exit)
{
	struct guest_system system;
	struct emulate_cpu cpu = {
		.gpr = vcpu->gpr,
		.rip = vcpu->rip,
		.rflags = vcpu->rflags,
		.system = &system,
		.physical_bits = guest_physical_bits(),
	};
	const struct emulate_mmio mmio = { vcpu, read_device, write_device };
	struct guest_event fault;
	bool moved;

	TRACE(DEVICE, vcpu, "memory access to 0x%lx",
	      exit->memory.address.value);
	virt->read_system(vcpu, &system);
	switch (emulate_next(&cpu, &vcpu->vm->memory, &mmio,
			     exit->memory.address, &fault)) {
	case ERR_NONE:
		moved = vcpu->rip != cpu.rip;
		vcpu->rip = cpu.rip;
		vcpu->rflags = cpu.rflags;
		if (moved)
			vcpu_moved_on(vcpu);
		break;
	case ERR_NOT_MAPPED:
		vcpu->has_event = true;
		vcpu->event = fault;
		break;
	case ERR_BAD_INSTRUCTION:
		log_guest(vcpu,
			  "an instruction at RIP 0x%lx that is not "
			  "emulated reaches 0x%lx",
			  vcpu->rip, exit->memory.address.value);
		vcpu_exception(vcpu, VECTOR_UD);
		break;
	default:
		end_of_guest(vcpu, exit, "device access that cannot be done");
		break;
	}
}

void on_memory(struct vcpu *vcpu, const struct vm_exit *exit)
{
	/* By any way: the instruction is done again. */
	if (vm_balloon_touch(vcpu->vm, exit->memory.address))
		vcpu->yields = true;
	else if (exit->memory.fetch)
		end_of_guest(vcpu, exit, "it jumped");
	else if (exit->memory.in_page_walk)
		end_of_guest(vcpu, exit, "its page tables lie");
	else if (virt->event_pending(vcpu))
		end_of_guest(vcpu, exit,
			     "delivery of an interrupt or exception ends");
	else
		emulate(vcpu, exit);
}
