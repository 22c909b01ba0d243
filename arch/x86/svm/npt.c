/* SPDX-License-Identifier: MIT */
/*
 * Nested page tables: the long-mode format, walked with the host's settings,
 * every entry a user's.  AMD 24593, "Nested Paging".
 */
#include "../stage2.h"
#include "../registers.h"
#include "svm.h"

#define NPT_PRESENT BIT(0)
#define NPT_USER BIT(2)
#define NPT_NO_EXECUTE BIT(63)

static uint64_t leaf(enum stage2_rights rights)
{
	const uint64_t read = NPT_PRESENT | NPT_USER | NPT_NO_EXECUTE;

	switch (rights) {
	case STAGE2_ALL:
		return STAGE2_GRANTS;
	case STAGE2_READ:
		return read;
	case STAGE2_WRITE:
		return read | STAGE2_WRITABLE;
	case STAGE2_NONE:
		break;
	}
	return 0;
}

enum error npt_map(hpa_t root, gpa_t at, hpa_t to, uint64_t size,
		   enum stage2_rights rights)
{
	bool replaced = false;

	return stage2_map(root, at, to, size, leaf(rights),
			  cpuid(0x80000001, 0).edx & BIT(26) ? 3 : 2,
			  &replaced);
}
