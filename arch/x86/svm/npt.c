/* SPDX-License-Identifier: MIT */
/*
 * Nested page tables: the long-mode format, walked with the host's settings,
 * every entry a user's.  AMD 24593, "Nested Paging".
 */
#include "../stage2.h"
#include "../registers.h"
#include "svm.h"

enum error npt_map(hpa_t root, gpa_t at, hpa_t to, uint64_t size,
		   enum stage2_rights rights)
{
	bool replaced = false;

	return stage2_map(
		root, at, to, size, rights == STAGE2_NONE ? 0 : STAGE2_GRANTS,
		cpuid(0x80000001, 0).edx & BIT(26) ? 3 : 2, &replaced);
}
