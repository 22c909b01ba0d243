/* SPDX-License-Identifier: MIT */
/* A VM's ends of the shared memories that it names. */
#include <mullion/guest.h>
#include <mullion/page.h>
#include <mullion/shared_port.h>
#include <mullion/vm.h>

#define SLOT_FIRST 24 /* of MULL_SHARED_MAX on the PCI bus */
#define PAGES ((sizeof(struct shared_ports) + PAGE_SIZE - 1) / PAGE_SIZE)

static_assert(MULL_SHARED_SIZE_MAX * MULL_SHARED_MAX == MULL_GUEST_SHARED_SIZE,
	      "each has its place");
static_assert(MULL_GUEST_DOORBELLS <= MSIX_VECTORS, "each has its vector");

/* ---- made and freed ------------------------------------------------------ */

static enum error make(struct vm *vm, struct shared_ports *ports,
		       const struct mull_shared *wanted)
{
	uint32_t index = ports->count;
	struct shared_port *port = &ports->ports[index];

	port->memory = shared_memory_join(wanted, vm_home(vm), &port->peer);
	if (!port->memory)
		return ERR_NO_MEMORY;
	port->writable = wanted->flags & MULL_SHARED_WRITE;
	port->at = gpa(MULL_GUEST_SHARED + index * MULL_SHARED_SIZE_MAX);
	ports->view.regions[index] = (struct guest_region){
		.start = port->at,
		.size = wanted->size,
		.frames = port->memory->frames
	};
	ports->view.region_count = ++ports->count;
	ivshmem_add(vm, port, SLOT_FIRST + index);
	return ERR_NONE;
}

enum error shared_ports_make(struct vm *vm)
{
	const struct mull_shared *wanted = vm->description.shared;

	if (!wanted[0].name[0])
		return ERR_NONE;
	vm->shared = page_alloc(PAGES);
	if (!vm->shared)
		return ERR_NO_MEMORY;
	for (uint32_t i = 0; i < MULL_SHARED_MAX && wanted[i].name[0]; i++)
		if (make(vm, vm->shared, &wanted[i]) != ERR_NONE)
			return ERR_NO_MEMORY;
	return ERR_NONE;
}

static uint32_t port_count(const struct vm *vm)
{
	return vm->shared ? vm->shared->count : 0;
}

void shared_ports_free(struct vm *vm)
{
	for (uint32_t i = 0; i < port_count(vm); i++)
		shared_memory_leave(vm->shared->ports[i].memory,
				    vm->shared->ports[i].peer);
	if (vm->shared)
		page_free(vm->shared, PAGES);
	vm->shared = NULL;
}

/* ---- while the VM lives -------------------------------------------------- */

static enum error map(struct vm *vm, const struct shared_port *port)
{
	const struct shared_memory *memory = port->memory;

	for (uint32_t i = 0; i < memory->frame_count; i++) {
		uint64_t done = i * FRAME_SIZE, left = memory->size - done;
		enum error error = virt->stage2_map(
			vm->stage2, gpa(port->at.value + done),
			hpa((uint64_t)memory->frames[i] << FRAME_SHIFT),
			left < FRAME_SIZE ? left : FRAME_SIZE,
			port->writable ? STAGE2_WRITE : STAGE2_READ);

		if (error != ERR_NONE)
			return error;
	}
	return ERR_NONE;
}

enum error shared_ports_map(struct vm *vm)
{
	for (uint32_t i = 0; i < port_count(vm); i++)
		if (map(vm, &vm->shared->ports[i]) != ERR_NONE)
			return ERR_NO_MEMORY;
	return ERR_NONE;
}

bool shared_ports_hold(struct vm *vm)
{
	for (uint32_t i = 0; i < port_count(vm); i++) {
		struct shared_port *port = &vm->shared->ports[i];

		port->held = port->held ||
			     shared_memory_hold(port->memory, port->peer);
		if (!port->held)
			return false;
	}
	return true;
}

void shared_ports_release(struct vm *vm)
{
	for (uint32_t i = 0; i < port_count(vm); i++) {
		struct shared_port *port = &vm->shared->ports[i];

		if (port->held)
			shared_memory_release(port->memory, port->peer);
		port->held = false;
	}
}

static void interrupt(struct vm *vm, struct shared_port *port, uint32_t rung)
{
	uint32_t listener = atomic_load(&port->listener);
	struct apic_message message = { .vector = (uint8_t)listener,
					.delivery = APIC_FIXED };

	lock_take(&vm->device_lock);
	for (uint32_t i = 0; i < MULL_GUEST_DOORBELLS; i++) {
		if (!(rung & 1u << i))
			continue;
		port->rings++;
		msix_raise(vm, &port->function, i);
	}
	lock_give(&vm->device_lock);
	if (listener)
		vm_interrupt_vcpu(vm->vcpus[listener >> 8], &message);
}

void shared_ports_hear(struct vm *vm)
{
	for (uint32_t i = 0; i < port_count(vm); i++) {
		struct shared_port *port = &vm->shared->ports[i];
		uint32_t rung = shared_memory_heard(port->memory, port->peer);

		if (rung)
			interrupt(vm, port, rung);
	}
}

void shared_ports_forget(struct vm *vm)
{
	for (uint32_t i = 0; i < port_count(vm); i++) {
		struct shared_port *port = &vm->shared->ports[i];

		atomic_store(&port->listener, 0);
		shared_memory_heard(port->memory, port->peer);
	}
}

struct shared_port *shared_port_at(struct vm *vm, uint64_t index)
{
	return index < port_count(vm) ? &vm->shared->ports[index] : NULL;
}

/* ---- accesses that are emulated ------------------------------------------ */

bool shared_ports_read(struct vm *vm, gpa_t at, uint64_t *value, size_t size)
{
	*value = 0;
	return vm->shared &&
	       guest_read(&vm->shared->view, at, value, size) == ERR_NONE;
}

static struct shared_port *port_with(struct vm *vm, uint64_t at)
{
	return &vm->shared->ports[(at - MULL_GUEST_SHARED) /
				  MULL_SHARED_SIZE_MAX];
}

bool shared_ports_write(struct vm *vm, gpa_t at, uint64_t value, size_t size,
			bool *refused)
{
	struct shared_port *port;

	*refused = false;
	if (!vm->shared || !guest_is_ram(&vm->shared->view, at, size))
		return false;
	/* It may begin in one and end in the next. */
	port = port_with(vm, at.value);
	if (port->writable)
		port = port_with(vm, at.value + size - 1);
	if (port->writable)
		return guest_write(&vm->shared->view, at, &value, size) ==
		       ERR_NONE;
	*refused = true;
	atomic_fetch_add(&port->refused, 1);
	return true;
}
