/* SPDX-License-Identifier: MIT */
/* Hypercalls and the memory that KVM's MSRs name. */
#include "hostile.h"

#define NUMBERS 0x2000
#define RANDOM_CALLS 5000
#define MSR_KVM_FIRST 0x4b564d00
#define MSR_KVM_LAST 0x4b564d0f
#define MSR_KVM_WALL_CLOCK_OLD 0x11
#define MSR_KVM_SYSTEM_TIME_OLD 0x12

/* Whether @number would end the guest. */
static bool is_fatal(uint64_t number)
{
	return number == MULL_CALL_END || number == MULL_CALL_RESET;
}

/* Addresses from which no byte can be printed: all or part is not RAM. */
static void flood_console(void)
{
	const uint64_t edge = guest_info.memory_low;
	const struct {
		uint64_t at, length;
	} wrong[] = {
		{ edge, 1 },	      { edge - 16, 17 },
		{ NOWHERE, 4096 },    { MULL_GUEST_IO_APIC, 4 },
		{ ~0ull, 1 },	      { ~0ull - 15, 16 },
		{ ~0ull - 15, 17 },   { 1ull << 52, 1 },
		{ 1ull << 63, 4096 }, { edge - 1, ~0ull },
	};
	bool refused = true;

	for (size_t i = 0; i < ARRAY_COUNT(wrong); i++)
		refused = hypercall(MULL_CALL_CONSOLE, wrong[i].at,
				    wrong[i].length) < 0 &&
			  refused;
	report(refused, "the console prints nothing that is not memory");
}

void hypercall_flood(void)
{
	bool refused = true;

	if (!mullion_present()) {
		report(false, "there are hypercalls");
		return;
	}
	for (uint64_t number = 0; number < NUMBERS; number++)
		hypercall(number, hostile_random(), hostile_random());
	report(true, "KVM's hypercalls are survived");
	for (uint64_t i = 4; i < 0x1000; i++)
		refused = hypercall(MULL_CALL_VERSION + i, ~0ull, ~0ull) < 0 &&
			  refused;
	report(refused, "unknown hypercalls are refused");
	for (int i = 0; i < RANDOM_CALLS; i++) {
		uint64_t number = hostile_random();

		/* The number is 64 bits wide: the rest must not be cut off. */
		if (!is_fatal(number & 0xffffffff))
			hypercall(number, hostile_random(), hostile_random());
	}
	report(hypercall(BIT(32) | MULL_CALL_VERSION, 0, 0) < 0,
	       "a hypercall's number is looked at whole");
	flood_console();
}

/* Where KVM's structures must not be; what is written there must not harm. */
void clock_wild(void)
{
	const uint64_t places[] = {
		~0ull,
		NOWHERE,
		MULL_GUEST_LOCAL_APIC,
		guest_info.memory_low,
		guest_info.memory_low - 4,
		guest_info.memory_low - 28,
		0x8000000000000000,
		1ull << 40,
		PAGE_SIZE - 4,
		3,
		0,
	};

	for (size_t i = 0; i < ARRAY_COUNT(places); i++) {
		for (uint32_t msr = MSR_KVM_FIRST; msr <= MSR_KVM_LAST; msr++) {
			msr_try_write(msr, places[i] | 1);
			msr_try_write(msr, places[i] & ~1ull);
			msr_try_write(msr, places[i] | 1);
		}
		msr_try_write(MSR_KVM_WALL_CLOCK_OLD, places[i]);
		msr_try_write(MSR_KVM_SYSTEM_TIME_OLD, places[i] | 1);
		sleep_ns(NS_PER_MS); /* others may run, and time be updated */
	}
	for (uint32_t msr = MSR_KVM_FIRST; msr <= MSR_KVM_LAST; msr++)
		msr_try_write(msr, 0);
	msr_try_write(MSR_KVM_SYSTEM_TIME_OLD, 0);
	report(true, "clocks in wild places are survived");
}
