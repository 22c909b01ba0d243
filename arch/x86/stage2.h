/* SPDX-License-Identifier: MIT */
/*
 * What EPT and NPT have in common: four levels of tables, whose entries grant
 * everything by their bits 2 to 0 (read, write and execute; present, write and
 * user), some of it by some of them, or are 0.
 */
#ifndef X86_STAGE2_H
#define X86_STAGE2_H

#include <mullion/bits.h>
#include <mullion/virt.h>

#define STAGE2_GRANTS BITS(2, 0)
#define STAGE2_WRITABLE BIT(1)
#define STAGE2_LARGE BIT(7)

enum error stage2_create(hpa_t *root);
/*
 * As virt_ops.stage2_map, with @leaf's bits in each entry that maps memory and
 * pages of @largest (3: 1 GiB, 2: 2 MiB) at most; @replaced tells whether a
 * translation that was there has gone.
 */
enum error stage2_map(hpa_t root, gpa_t at, hpa_t to, uint64_t size,
		      uint64_t leaf, int largest, bool *replaced);
void stage2_destroy(hpa_t root);
void stage2_look(hpa_t root, gpa_t at, struct mapping *mapping);

#endif
