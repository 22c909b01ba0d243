/* SPDX-License-Identifier: MIT */
#include <mullion/arch.h>
#include <mullion/frame_pool.h>
#include <string.h>

void frame_zero(uint32_t frame, uint64_t at, uint64_t length)
{
	uint8_t *window = arch_window(hpa((uint64_t)frame << FRAME_SHIFT));

	memset(window + at, 0, length);
}
