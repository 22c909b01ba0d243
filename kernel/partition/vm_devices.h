/* SPDX-License-Identifier: MIT */
/* The devices on a VM's PCI bus: made and freed with it. */
#ifndef MULLION_VM_DEVICES_H
#define MULLION_VM_DEVICES_H

#include <mullion/virtio_block.h>
#include <mullion/virtio_net.h>
#include <mullion/vm.h>

/* Those that its description asks for; ERR_NO_MEMORY leaves some made. */
enum error vm_devices_make(struct vm *vm);
/* Takes the partitions that its disks are; service CPU, or the boot CPU. */
void vm_devices_bind(struct vm *vm);
/* The next piece of opening what they have kept, before the guest runs; a kick
 * tells that there is more.  Returns what is wrong with disk @index, or NULL. */
const char *vm_devices_open(struct vm *vm, uint32_t *index, bool *done);
/* And of keeping what the guest has written, when it has left: whether all is
 * done. */
bool vm_devices_settle(struct vm *vm);
/* Whether a disk of the machine may still touch its memory. */
bool vm_devices_fly(const struct vm *vm);
/* Whether it may still touch @frame of the machine's; home CPU. */
bool vm_devices_fly_over(const struct vm *vm, uint32_t frame);
/* Its frames are there, and will be zeroed: disks have their media.
 * An error comes with words. */
enum error vm_devices_start(struct vm *vm, const char **words);
/* Disk @index of its description alone, not on the bus yet; NULL: no memory. */
struct virtio_block *vm_devices_make_disk(struct vm *vm, uint32_t index);
/* Takes the partition that it is, if it is one.  Service CPU, as the next. */
enum error vm_devices_bind_disk(struct vm *vm, uint32_t index,
				struct virtio_block *disk, const char **words);
void vm_devices_free_disk(struct virtio_block *disk);
/* The same of network device @index, at its switch; service CPU. */
struct virtio_net *vm_devices_make_nic(struct vm *vm, uint32_t index);
void vm_devices_free_nic(struct virtio_net *net);
/* Gives it its medium, once its frames are there. */
enum error vm_devices_start_disk(struct vm *vm, uint32_t index,
				 struct virtio_block *disk, const char **words);
/* The guest has ended, and all its vCPUs have left it: nothing from outside
 * comes in any more.  Home CPU, no lock. */
void vm_devices_close(struct vm *vm);
/* Those that were made. */
void vm_devices_free(struct vm *vm);

#endif
