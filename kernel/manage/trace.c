/* SPDX-License-Identifier: MIT */
#include <mullion/arch.h>
#include <mullion/log.h>
#include <mullion/trace.h>
#include <mullion/vm.h>

#define WINDOW_MS 100
#define LINES_A_WINDOW 10

_Atomic uint32_t traced;

/* Any CPU; a line more or less at the turn of a window does no harm. */
static bool allowed(uint32_t *dropped)
{
	static _Atomic uint64_t window;
	static _Atomic uint32_t lines;
	uint64_t now = arch_time() / (arch_time_khz() * WINDOW_MS);

	*dropped = 0;
	if (atomic_exchange(&window, now) != now) {
		uint32_t before = atomic_exchange(&lines, 0);

		*dropped = before > LINES_A_WINDOW ? before - LINES_A_WINDOW :
						     0;
	}
	return atomic_fetch_add(&lines, 1) < LINES_A_WINDOW;
}

void trace_write(struct vcpu *vcpu, const char *format, ...)
{
	char words[LOG_LINE_MAX];
	va_list arguments;
	uint32_t dropped;

	if (!allowed(&dropped))
		return;
	if (dropped)
		log_write(LOG_TRACE "trace: %u lines dropped", dropped);
	va_start(arguments, format);
	format_text_list(words, sizeof words, format, arguments);
	va_end(arguments);
	if (vcpu)
		log_write(LOG_TRACE "%.31s/%u: %s", vcpu->vm->description.name,
			  vcpu->index, words);
	else
		log_write(LOG_TRACE "%s", words);
}
