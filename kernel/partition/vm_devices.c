/* SPDX-License-Identifier: MIT */
#include "vm_devices.h"

#include <mullion/arch.h>
#include <mullion/bits.h>
#include <mullion/images.h>
#include <mullion/page.h>
#include <mullion/virtio_block.h>

/* Where they are, so that a guest finds them again. */
#define SLOT_ENTROPY 1
#define SLOT_DISK 2

#define PAGES(type) ((sizeof(type) + PAGE_SIZE - 1) / PAGE_SIZE)

static enum error make_disks(struct vm *vm)
{
	for (uint32_t i = 0; i < MULL_DISK_MAX; i++) {
		if (vm->description.disks[i].kind == MULL_DISK_NONE)
			break;
		vm->disks[i] = page_alloc(PAGES(struct virtio_block));
		if (!vm->disks[i])
			return ERR_NO_MEMORY;
		virtio_block_add(vm, vm->disks[i], SLOT_DISK + i, i);
	}
	return ERR_NONE;
}

enum error vm_devices_make(struct vm *vm)
{
	uint64_t unused;

	guest_pci_add_bridge(vm);
	if (arch_random(&unused)) {
		vm->entropy = page_alloc(PAGES(struct virtio_device));
		if (!vm->entropy)
			return ERR_NO_MEMORY;
		virtio_add(vm, vm->entropy, &virtio_entropy, SLOT_ENTROPY);
	}
	return make_disks(vm);
}

enum error vm_devices_start(struct vm *vm, const char **words)
{
	uint32_t *room = vm->frames + vm->ram_frames;

	for (uint32_t i = 0; i < MULL_DISK_MAX && vm->disks[i]; i++) {
		const struct mull_disk *disk = &vm->description.disks[i];
		struct load_image image = image_find(disk->image);
		uint32_t count = (uint32_t)(disk->room / FRAME_SIZE);
		enum error error = memory_disk_open(&vm->disks[i]->disk, &image,
						    room, count, words);

		if (error)
			return error;
		virtio_block_start(vm->disks[i]);
		room += count;
	}
	return ERR_NONE;
}

void vm_devices_free(struct vm *vm)
{
	for (uint32_t i = 0; i < MULL_DISK_MAX && vm->disks[i]; i++)
		page_free(vm->disks[i], PAGES(struct virtio_block));
	if (vm->entropy)
		page_free(vm->entropy, PAGES(struct virtio_device));
}
