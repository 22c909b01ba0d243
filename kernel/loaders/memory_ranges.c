/* SPDX-License-Identifier: MIT */
/* What is in a guest's memory, by the numbers that a PC's BIOS gives.  ACPI
 * 6.3, "Address Range Types". */
#include "loader.h"

#include <mullion/bits.h>
#include <string.h>

#define RANGE_RAM 1
#define RANGE_RESERVED 2
#define LEGACY_START 0xa0000 /* video memory and ROMs of a PC */

/* The hole below 4 GiB is not listed: the kernel puts devices there. */
uint32_t memory_ranges(const struct load_request *request,
		       struct memory_range ranges[MEMORY_RANGES])
{
	const struct memory_range all[MEMORY_RANGES] = {
		{ 0, MEMORY_LOW_END, RANGE_RAM, 0 },
		{ LEGACY_START, MIB(1) - LEGACY_START, RANGE_RESERVED, 0 },
		{ MIB(1), request->memory_low - MIB(1), RANGE_RAM, 0 },
		{ GIB(4), request->memory_high, RANGE_RAM, 0 },
	};

	memcpy(ranges, all, sizeof all);
	return MEMORY_RANGES - (request->memory_high == 0);
}
