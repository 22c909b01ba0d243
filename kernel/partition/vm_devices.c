/* SPDX-License-Identifier: MIT */
#include "vm_devices.h"

#include <mullion/arch.h>
#include <mullion/page.h>
#include <mullion/virtio.h>

#define SLOT_ENTROPY 1

#define PAGES(type) ((sizeof(type) + PAGE_SIZE - 1) / PAGE_SIZE)

enum error vm_devices_make(struct vm *vm)
{
	uint64_t unused;

	guest_pci_add_bridge(vm);
	if (!arch_random(&unused))
		return ERR_NONE;
	vm->entropy = page_alloc(PAGES(struct virtio_device));
	if (!vm->entropy)
		return ERR_NO_MEMORY;
	virtio_add(vm, vm->entropy, &virtio_entropy, SLOT_ENTROPY);
	return ERR_NONE;
}

void vm_devices_free(struct vm *vm)
{
	if (vm->entropy)
		page_free(vm->entropy, PAGES(struct virtio_device));
}
