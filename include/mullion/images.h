/* SPDX-License-Identifier: MIT */
/*
 * The images that VMs name by number: first those of the boot package, then
 * those of the store, which were uploaded.  The store's lie in frames that
 * the hypervisor does not keep mapped.
 */
#ifndef MULLION_IMAGES_H
#define MULLION_IMAGES_H

#include <mullion/load.h>
#include <mullion/package_reader.h>

/*
 * image_find - image @number, if it can be used or belongs to the package
 *
 * Any CPU, for an image that a VM names: such a one is not removed.  Its
 * record is NULL when there is none.
 */
struct load_image image_find(uint32_t number);
/* Its enum mull_image_kind, 0: it cannot be used; for mull_check_vms(). */
uint32_t image_kind(uint32_t number);

/* Whether the bytes of image @number were once seen to have its hash: they do
 * not change.  Any CPU. */
bool image_is_verified(uint32_t number);
void image_set_verified(uint32_t number);

/* What follows is the service CPU's. */

/* The image of the store by @number, finished or not; NULL: there is none. */
const struct mull_image *store_image(uint32_t number);
/* Takes memory for the image that @record describes. */
enum error store_add(const struct mull_image *record, uint32_t *number);
/* Its memory from byte @at on, to the end of a frame; as arch_window(). */
uint8_t *store_window(uint32_t number, uint64_t at);
/* All of it is there, and as its record says: VMs may use it. */
void store_finish(uint32_t number);
void store_remove(uint32_t number);

#endif
