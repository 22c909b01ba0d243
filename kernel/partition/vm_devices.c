/* SPDX-License-Identifier: MIT */
#include "vm_devices.h"

#include <mullion/arch.h>
#include <mullion/balloon.h>
#include <mullion/bits.h>
#include <mullion/description.h>
#include <mullion/frame_pool.h>
#include <mullion/images.h>
#include <mullion/page.h>
#include <mullion/pc.h>
#include <mullion/shared_port.h>
#include <mullion/virtio_console.h>
#include <mullion/virtio_vsock.h>

/* Where they are, so that a guest finds them again. */
#define SLOT_ENTROPY 1
#define SLOT_DISK 2
#define SLOT_CONSOLE 6
#define SLOT_BALLOON 13
#define SLOT_NETWORK 8 /* and up */
#define SLOT_VSOCK 12

#define FLIGHT_PAGES pages_for(BLOCK_FLIGHTS * sizeof(struct block_flight))
#define RING_PAGES (PACKET_RING_BYTES / PAGE_SIZE)

struct virtio_block *vm_devices_make_disk(struct vm *vm, uint32_t index)
{
	uint64_t room = vm->description.disks[index].room / FRAME_SIZE;
	struct virtio_block *disk = page_alloc(
		pages_for(sizeof(struct virtio_block)));

	if (!disk)
		return NULL;
	if (room && room <= PAGE_RUN_MAX * PAGE_SIZE / sizeof *disk->room) {
		disk->room = page_alloc(pages_for(room * sizeof *disk->room));
		disk->room_frames = disk->room ? (uint32_t)room : 0;
	}
	if (vm->description.disks[index].kind == MULL_DISK_PARTITION)
		disk->flights = page_alloc(FLIGHT_PAGES);
	if (disk->room_frames != room ||
	    (!disk->flights &&
	     vm->description.disks[index].kind == MULL_DISK_PARTITION)) {
		vm_devices_free_disk(disk);
		return NULL;
	}
	virtio_block_init(vm, disk, SLOT_DISK + index, index);
	return disk;
}

static void unbind(struct virtio_block *disk)
{
	if (disk->partition)
		block_give(disk->partition);
	if (disk->changes)
		block_give(disk->changes);
	disk->partition = disk->changes = NULL;
}

void vm_devices_free_disk(struct virtio_block *disk)
{
	unbind(disk);
	if (disk->flights)
		page_free(disk->flights, FLIGHT_PAGES);
	if (disk->room)
		page_free(disk->room,
			  pages_for(disk->room_frames * sizeof *disk->room));
	page_free(disk, pages_for(sizeof(struct virtio_block)));
}

static enum error make_disks(struct vm *vm)
{
	for (uint32_t i = 0; i < MULL_DISK_MAX; i++) {
		if (vm->description.disks[i].kind == MULL_DISK_NONE)
			continue;
		vm->disks[i] = vm_devices_make_disk(vm, i);
		if (!vm->disks[i])
			return ERR_NO_MEMORY;
		guest_pci_add(vm, &vm->disks[i]->device.function);
	}
	return ERR_NONE;
}

static enum error lay_out_overlay(struct virtio_block *disk, const char **words)
{
	const char *wrong = overlay_lay_out(&disk->overlay,
					    disk->partition->size,
					    disk->changes->size, disk->room);

	if (!wrong)
		return ERR_NONE;
	*words = wrong;
	return ERR_UNSUPPORTED;
}

enum error vm_devices_start_disk(struct vm *vm, uint32_t index,
				 struct virtio_block *disk, const char **words)
{
	const struct mull_disk *description = &vm->description.disks[index];
	struct load_image image;
	enum error error = ERR_NONE;

	if (description->kind == MULL_DISK_PARTITION) {
		*words = disk->refusal;
		if (!disk->partition)
			return ERR_NOT_FOUND;
		disk->over = description->flags & MULL_DISK_PRIVATE;
		if (disk->changes)
			error = lay_out_overlay(disk, words);
		else if (disk->over)
			error = memory_disk_open_over(
				&disk->disk, disk->partition->size, disk->room,
				disk->room_frames, words);
	} else {
		image = image_find(description->image);
		error = memory_disk_open(&disk->disk, &image, disk->room,
					 disk->room_frames, words);
	}
	if (!error)
		virtio_block_start(disk);
	return error;
}

/* Memory for the map of its overlay, whose size is known only now. */
static enum error make_room(struct virtio_block *disk, const char **words)
{
	uint32_t frames = overlay_frames(disk->partition->size,
					 disk->changes->size);

	*words = "its overlay's disk has larger sectors than its base's";
	if (disk->changes->device->sector_size >
	    disk->partition->device->sector_size)
		return ERR_UNSUPPORTED;
	*words = "its base is too large for an overlay";
	if (frames > PAGE_RUN_MAX * PAGE_SIZE / sizeof *disk->room)
		return ERR_TOO_LARGE;
	*words = "there is no memory for its overlay's structures";
	disk->room = page_alloc(pages_for(frames * sizeof *disk->room));
	if (!disk->room)
		return ERR_NO_MEMORY;
	disk->room_frames = frames;
	return ERR_NONE;
}

enum error vm_devices_bind_disk(struct vm *vm, uint32_t index,
				struct virtio_block *disk, const char **words)
{
	const struct mull_disk *description = &vm->description.disks[index];
	bool write = !(description->flags &
		       (MULL_DISK_READ_ONLY | MULL_DISK_PRIVATE));
	enum error error;

	if (description->kind != MULL_DISK_PARTITION)
		return ERR_NONE;
	error = block_take(description->partition, write, &disk->partition,
			   words);
	if (error || !description->overlay[0])
		return error;
	error = block_take(description->overlay, true, &disk->changes, words);
	return error ? error : make_room(disk, words);
}

void vm_devices_bind(struct vm *vm)
{
	for (uint32_t i = 0; i < MULL_DISK_MAX; i++)
		if (vm->disks[i] &&
		    vm_devices_bind_disk(vm, i, vm->disks[i],
					 &vm->disks[i]->refusal))
			unbind(vm->disks[i]);
}

const char *vm_devices_open(struct vm *vm, uint32_t *index, bool *done)
{
	const char *words = NULL;

	*done = true;
	for (*index = 0; *done && !words && *index < MULL_DISK_MAX; ++*index)
		if (vm->disks[*index])
			words = virtio_block_open(vm->disks[*index], done);
	--*index;
	return words;
}

bool vm_devices_settle(struct vm *vm)
{
	bool done = true;

	for (uint32_t i = 0; i < MULL_DISK_MAX; i++)
		if (vm->disks[i])
			done &= virtio_block_settle(vm->disks[i]);
	return done;
}

bool vm_devices_fly(const struct vm *vm)
{
	for (uint32_t i = 0; i < MULL_DISK_MAX; i++)
		if (vm->disks[i] && virtio_block_flies(vm->disks[i]))
			return true;
	return false;
}

bool vm_devices_fly_over(const struct vm *vm, uint32_t frame)
{
	for (uint32_t i = 0; i < MULL_DISK_MAX; i++)
		if (vm->disks[i] &&
		    block_flights_touch(vm->disks[i],
					hpa((uint64_t)frame << FRAME_SHIFT)))
			return true;
	return false;
}

enum error vm_devices_start(struct vm *vm, const char **words)
{
	enum error error = ERR_NONE;

	for (uint32_t i = 0; !error && i < MULL_DISK_MAX; i++)
		if (vm->disks[i])
			error = vm_devices_start_disk(vm, i, vm->disks[i],
						      words);
	return error;
}

static enum error make_console(struct vm *vm)
{
	struct virtio_console *console = page_alloc(
		pages_for(sizeof(struct virtio_console)));

	if (!console)
		return ERR_NO_MEMORY;
	virtio_console_add(vm, console, SLOT_CONSOLE);
	return ERR_NONE;
}

static enum error make_entropy(struct vm *vm)
{
	uint64_t unused;

	if (!arch_random(&unused))
		return ERR_NONE;
	vm->entropy = page_alloc(pages_for(sizeof(struct virtio_device)));
	if (!vm->entropy)
		return ERR_NO_MEMORY;
	virtio_add(vm, vm->entropy, &virtio_entropy, SLOT_ENTROPY);
	return ERR_NONE;
}

struct virtio_net *vm_devices_make_nic(struct vm *vm, uint32_t index)
{
	struct virtio_net *net = page_alloc(
		pages_for(sizeof(struct virtio_net)));
	uint8_t mac[MAC_SIZE];

	if (!net)
		return NULL;
	mull_nic_mac(&vm->description, index, mac);
	net->port.ring.bytes = page_alloc(RING_PAGES);
	if (!net->port.ring.bytes ||
	    virtio_net_init(vm, net, &vm->description.nics[index], mac,
			    SLOT_NETWORK + index)) {
		vm_devices_free_nic(net);
		return NULL;
	}
	return net;
}

static enum error make_nic(struct vm *vm, uint32_t index)
{
	vm->nics[index] = vm_devices_make_nic(vm, index);
	if (!vm->nics[index])
		return ERR_NO_MEMORY;
	guest_pci_add(vm, &vm->nics[index]->device.function);
	return ERR_NONE;
}

static enum error make_vsock(struct vm *vm)
{
	struct virtio_vsock *vsock;

	if (!vm->description.vsock)
		return ERR_NONE;
	vsock = page_alloc(pages_for(sizeof(struct virtio_vsock)));
	if (!vsock)
		return ERR_NO_MEMORY;
	vm->vsock = vsock;
	vsock->port.ring.bytes = page_alloc(RING_PAGES);
	if (!vsock->port.ring.bytes)
		return ERR_NO_MEMORY;
	virtio_vsock_add(vm, vsock, SLOT_VSOCK);
	return ERR_NONE;
}

enum error vm_devices_make(struct vm *vm)
{
	enum error error;

	guest_pci_add_bridge(vm);
	if (vm->description.flags & MULL_VM_PLATFORM_PC &&
	    pc_make(vm) != ERR_NONE)
		return ERR_NO_MEMORY;
	error = make_console(vm);
	if (!error)
		error = make_entropy(vm);
	if (!error && vm->description.flags & MULL_VM_ELASTIC)
		error = balloon_make(vm, SLOT_BALLOON);
	if (!error)
		error = shared_ports_make(vm);
	if (!error)
		error = make_disks(vm);
	for (uint32_t i = 0; !error && i < mull_nic_count(&vm->description);
	     i++)
		error = make_nic(vm, i);
	if (!error)
		error = make_vsock(vm);
	return error;
}

void vm_devices_close(struct vm *vm)
{
	for (uint32_t i = 0; i < MULL_NIC_MAX; i++)
		if (vm->nics[i])
			virtio_net_close(vm->nics[i]);
	if (!vm->vsock)
		return;
	lock_take(&vm->device_lock); /* its clients are on the service CPU */
	virtio_vsock_close(vm->vsock);
	lock_give(&vm->device_lock);
}

void vm_devices_free_nic(struct virtio_net *net)
{
	virtio_net_remove(net);
	if (net->port.ring.bytes)
		page_free(net->port.ring.bytes, RING_PAGES);
	page_free(net, pages_for(sizeof(struct virtio_net)));
}

static void free_vsock(struct virtio_vsock *vsock)
{
	virtio_vsock_remove(vsock);
	if (vsock->port.ring.bytes)
		page_free(vsock->port.ring.bytes, RING_PAGES);
	page_free(vsock, pages_for(sizeof(struct virtio_vsock)));
}

void vm_devices_free(struct vm *vm)
{
	pc_free(vm);
	for (uint32_t i = 0; i < MULL_DISK_MAX; i++)
		if (vm->disks[i])
			vm_devices_free_disk(vm->disks[i]);
	shared_ports_free(vm);
	balloon_free(vm);
	if (vm->console)
		page_free(vm->console,
			  pages_for(sizeof(struct virtio_console)));
	if (vm->entropy)
		page_free(vm->entropy, pages_for(sizeof(struct virtio_device)));
	for (uint32_t i = 0; i < MULL_NIC_MAX; i++)
		if (vm->nics[i])
			vm_devices_free_nic(vm->nics[i]);
	if (vm->vsock)
		free_vsock(vm->vsock);
}
