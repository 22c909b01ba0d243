/* SPDX-License-Identifier: MIT */
/* The memory of a VM: taken from the pool when it starts, mapped, zeroed
 * before use and after, given back.  Home CPU only. */
#ifndef PARTITION_VM_MEMORY_H
#define PARTITION_VM_MEMORY_H

#include <mullion/virtio_block.h>
#include <mullion/vm.h>

/* RAM starts at 0 and makes room for MMIO below 4 GiB. */
void vm_memory_lay_out(struct vm *vm);

/* Which of vm->frames @at lies in; false: it is no RAM.  And where that one is
 * to the guest. */
bool vm_memory_index(const struct vm *vm, gpa_t at, uint32_t *index);
gpa_t vm_memory_address(const struct vm *vm, uint32_t index);

/* Frames and page tables; after an error, with words, it has none of them. */
enum error vm_memory_take(struct vm *vm, const char **words);
void vm_memory_give(struct vm *vm);

/* The same for the room of a disk that comes alone. */
enum error vm_memory_take_room(struct vm *vm, struct virtio_block *disk);
void vm_memory_give_room(struct vm *vm, struct virtio_block *disk);
/* Zeroes it from byte @at on; whether all of it is done. */
bool vm_memory_clear_room(struct virtio_block *disk, uint64_t *at);

/* Zeroes the next piece, of the disks' rooms too if @disks; whether all is
 * done. */
bool vm_memory_clear_piece(struct vm *vm, bool disks);

#endif
