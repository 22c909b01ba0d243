/* SPDX-License-Identifier: MIT */
/* What the start has come through, and when: from the loader's first
 * instruction on. */
#include "service.h"
#include <mullion/arch.h>
#include <mullion/manage.h>

struct mull_phase ledger[LEDGER_MAX];
_Atomic uint32_t ledger_count;
static uint64_t origin; /* arch_time() */

void ledger_note(uint64_t time, const char *format, ...)
{
	static _Atomic uint32_t begun;
	uint32_t at = atomic_fetch_add(&begun, 1);
	va_list arguments;

	if (at >= LEDGER_MAX)
		return;
	ledger[at].time_ns = arch_time_ns(time - origin);
	va_start(arguments, format);
	format_text_list(ledger[at].words, sizeof ledger[at].words, format,
			 arguments);
	va_end(arguments);
	ledger_count++;
}

void ledger_start(const struct mull_boot_info *boot)
{
	origin = boot->tsc_loader_start;
	ledger_note(boot->tsc_left_firmware, "files read, firmware left");
	ledger_note(arch_time(), "processors started");
}
