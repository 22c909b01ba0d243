/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <mullion/bits.h>
#include <mullion/control.h>
#include <mullion/vm_exit.h>

static const char *const names[] = {
	[EXIT_NONE] = "none",
	[EXIT_INTERRUPT] = "interrupt",
	[EXIT_NMI] = "kick",
	[EXIT_WINDOW] = "interrupt-window",
	[EXIT_CPUID] = "cpuid",
	[EXIT_HALT] = "halt",
	[EXIT_PORT_IO] = "port-io",
	[EXIT_MSR_READ] = "msr-read",
	[EXIT_MSR_WRITE] = "msr-write",
	[EXIT_HYPERCALL] = "hypercall",
	[EXIT_MEMORY] = "memory",
	[EXIT_XSETBV] = "xsetbv",
	[EXIT_CACHE] = "cache",
	[EXIT_PRIVILEGED] = "privileged",
	[EXIT_COUNTER] = "counter",
	[EXIT_VENDOR] = "vendor",
	[EXIT_BAD_STATE] = "bad-state",
	[EXIT_TRIPLE_FAULT] = "triple-fault",
	[EXIT_BREAKPOINT] = "breakpoint",
	[EXIT_SOFTWARE_INTERRUPT] = "software-interrupt",
	[EXIT_ENTRY_FAILED] = "entry-failed",
	[EXIT_UNKNOWN] = "unknown",
	[EXIT_COMMAND] = "ipi",
};
static_assert(ARRAY_COUNT(names) == EXIT_KIND_COUNT,
	      "every exit kind needs a name");
static_assert(EXIT_KIND_COUNT <= MULL_EXIT_KINDS, "room on the channel");

const char *exit_kind_name(uint32_t kind)
{
	return kind < EXIT_KIND_COUNT ? names[kind] : "?";
}

bool exit_is_asked_for(uint32_t kind)
{
	switch (kind) {
	case EXIT_CPUID:
	case EXIT_PORT_IO:
	case EXIT_HYPERCALL:
	case EXIT_MEMORY:
	case EXIT_XSETBV:
	case EXIT_CACHE:
	case EXIT_COMMAND:
		return true;
	default:
		return false;
	}
}
