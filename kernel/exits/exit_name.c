/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <mullion/bits.h>
#include <mullion/control.h>
#include <mullion/vm_exit.h>

/* In the order of enum exit_kind. */
static const char *const names[] = {
	"none",		"interrupt",	"kick",	      "interrupt-window",
	"cpuid",	"halt",		"port-io",    "msr-read",
	"msr-write",	"hypercall",	"memory",     "xsetbv",
	"cache",	"privileged",	"counter",    "vendor",
	"bad-state",	"triple-fault", "breakpoint", "software-interrupt",
	"entry-failed", "unknown"
};
static_assert(ARRAY_COUNT(names) == EXIT_KIND_COUNT,
	      "every exit kind needs a name");
static_assert(EXIT_KIND_COUNT <= MULL_EXIT_KINDS, "room on the channel");

const char *exit_kind_name(uint32_t kind)
{
	return kind < EXIT_KIND_COUNT ? names[kind] : "?";
}
