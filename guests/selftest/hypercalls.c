/* SPDX-License-Identifier: MIT */
/* Hypercalls, right and wrong. */
#include "selftest.h"

#define CALL_UNKNOWN 0x4d55ffff

static volatile int64_t ring3_result;

static void call_from_ring3(void)
{
	ring3_result = hypercall(MULL_CALL_VERSION, 0, 0);
	BREAKPOINT();
}

static void halt_in_ring3(void)
{
	asm volatile("hlt");
	BREAKPOINT();
}

static void nothing_in_ring3(void)
{
	BREAKPOINT();
}

static void test_ring3(void)
{
	int vector;

	report(guarded_call_ring3(nothing_in_ring3) == VECTOR_BREAKPOINT,
	       "ring 3 can be entered and left");
	report(guarded_call_ring3(halt_in_ring3) == VECTOR_PROTECTION,
	       "ring 3 cannot halt");
	ring3_result = 0;
	vector = guarded_call_ring3(call_from_ring3);
	report(vector != VECTOR_BREAKPOINT || ring3_result < 0,
	       "ring 3 cannot call the hypervisor (vector %d, %ld)", vector,
	       ring3_result);
}

static void test_console(void)
{
	static const char line[] = "a line by hypercall\n";
	int64_t length = sizeof line - 1;
	int64_t taken;

	taken = hypercall(MULL_CALL_CONSOLE, (uintptr_t)line, (uint64_t)length);
	report(taken == length, "the console takes a line (%ld)", taken);
	report(hypercall(MULL_CALL_CONSOLE, (uintptr_t)line, 0) == 0,
	       "the console takes no bytes");
	report(hypercall(MULL_CALL_CONSOLE, MULL_GUEST_MMIO_START, 16) < 0,
	       "the console refuses what is not memory");
	report(hypercall(MULL_CALL_CONSOLE, ~0ull - 7, 16) < 0,
	       "the console refuses an address that wraps");
}

void test_hypercalls(void)
{
	if (!mullion_present()) {
		report(false, "there are hypercalls");
		return;
	}
	report(hypercall(MULL_CALL_VERSION, 0, 0) == MULL_GUEST_ABI,
	       "the version can be asked for");
	report(hypercall(CALL_UNKNOWN, 0, 0) < 0,
	       "an unknown hypercall is refused");
	report(hypercall(~0ull, ~0ull, ~0ull) < 0,
	       "a hypercall of ones is refused");
	test_console();
	test_ring3();
}
