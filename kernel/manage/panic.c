/* SPDX-License-Identifier: MIT */
/* A bug of the hypervisor ends everything, and says all that it can. */
#include "service.h"
#include <mullion/arch.h>
#include <mullion/framebuffer.h>
#include <mullion/manage.h>
#include <mullion/vcpu.h>

#define DEPTH_MAX 16
/* More lines than the log's ring holds: it ends even if others still write. */
#define LOG_LINES_MAX 2048

static struct vcpu *running[MULL_CPU_MAX];

void panic_running(uint32_t cpu, struct vcpu *vcpu)
{
	running[cpu % MULL_CPU_MAX] = vcpu;
}

static void say(const char *text, size_t length)
{
	log_last_words(text, length); /* while output may still hang */
	manage_emergency(text, length);
	framebuffer_write(text, length);
}

/* The lines before the panic tell most, and may not have been sent yet. */
void log_emergency(void)
{
	char line[LOG_LINE_MAX];
	size_t length;

	for (uint32_t i = 0; i < LOG_LINES_MAX; i++) {
		length = log_take(LOG_SERIAL, line, sizeof line);
		if (!length)
			break;
		manage_emergency(line + LOG_LEVEL, length - LOG_LEVEL);
	}
	log_draw(LOG_LINES_MAX);
}

static void say_where(void)
{
	uint32_t cpu = arch_cpu_index();
	const struct vcpu *vcpu = running[cpu % MULL_CPU_MAX];
	char text[128];
	size_t length;

	if (vcpu)
		length = format_text(text, sizeof text,
				     "\nPANIC on CPU %u, for %.31s/%u: ", cpu,
				     vcpu->vm->description.name, vcpu->index);
	else
		length = format_text(text, sizeof text,
				     "\nPANIC on CPU %u: ", cpu);
	say(text, length);
}

/* tools/symbolize.py turns this line into functions and lines. */
static void say_stack(void)
{
	uint64_t callers[DEPTH_MAX];
	size_t count = arch_backtrace(callers, DEPTH_MAX);
	char text[DEPTH_MAX * 17 + 16];
	size_t length = format_text(text, sizeof text, "STACK");

	for (size_t i = 0; i < count; i++)
		length += format_text(text + length, sizeof text - length,
				      " %lx", callers[i]);
	length += format_text(text + length, sizeof text - length, "\n");
	say(text, length);
}

/* One CPU panics.  Others that come here too just stop; it itself comes back
 * when its own panic hits a bug, and says no more than that. */
static void only_once(void)
{
	static _Atomic uint32_t panicking; /* CPU + 1 */
	static bool again;
	uint32_t nobody = 0, me = arch_cpu_index() + 1;

	if (atomic_compare_exchange_strong(&panicking, &nobody, me))
		return;
	if (nobody == me && !again) {
		again = true;
		manage_emergency("\npanic in a panic\n", 18);
	}
	arch_halt();
}

void panic(const char *format, ...)
{
	char words[1024]; /* an exception gives all registers */
	va_list arguments;
	size_t length;

	only_once();
	arch_stop_others();
	log_emergency();
	say_where();
	va_start(arguments, format);
	length = format_text_list(words, sizeof words, format, arguments);
	va_end(arguments);
	say(words, length);
	say("\n", 1);
	say_stack();
	arch_halt();
}
