/* SPDX-License-Identifier: MIT */
/*
 * Extended page tables.  SDM 326019, "Format of an EPT Page-Table Entry that
 * Maps a 4-KByte Page" and its neighbours.
 */
#include "../stage2.h"
#include "../registers.h"
#include "vmx.h"
#include <stdatomic.h>

#define EPT_READ BIT(0)
#define EPT_MEMORY_TYPE BITS(5, 3)
#define EPT_IGNORE_PAT BIT(6)

/* "Format of Extended-Page-Table Pointer" */
#define EPTP_MEMORY_TYPE BITS(2, 0)
#define EPTP_LEVELS_MINUS_ONE BITS(5, 3)

static _Atomic uint32_t generation;

/* Processors may still know what was at this address when it was a table. */
enum error ept_create(hpa_t *root)
{
	atomic_fetch_add(&generation, 1);
	return stage2_create(root);
}

/* Write-back, with the guest's PAT on top of it; but what is shared has one
 * memory type, whatever each guest takes it for. */
static uint64_t leaf(enum stage2_rights rights)
{
	uint64_t type = field_make(EPT_MEMORY_TYPE, VMX_MEMORY_WRITE_BACK);

	switch (rights) {
	case STAGE2_ALL:
		return type | STAGE2_GRANTS;
	case STAGE2_READ:
		return type | EPT_IGNORE_PAT | EPT_READ;
	case STAGE2_WRITE:
		return type | EPT_IGNORE_PAT | EPT_READ | STAGE2_WRITABLE;
	case STAGE2_NONE:
		break;
	}
	return 0;
}

enum error ept_map(hpa_t root, gpa_t at, hpa_t to, uint64_t size,
		   enum stage2_rights rights)
{
	bool replaced = false;
	enum error error = stage2_map(root, at, to, size, leaf(rights),
				      vmx_controls.large_1g ? 3 : 2, &replaced);

	if (replaced)
		atomic_fetch_add(&generation, 1);
	return error;
}

uint64_t ept_pointer(hpa_t root)
{
	return root.value |
	       field_make(EPTP_MEMORY_TYPE, VMX_MEMORY_WRITE_BACK) |
	       field_make(EPTP_LEVELS_MINUS_ONE, 3);
}

uint32_t ept_generation(void)
{
	return atomic_load(&generation);
}
