/* SPDX-License-Identifier: MIT */
/*
 * The local APIC with CR8, of which a processor may do a part by itself.  Guest 2 stays
 * in xAPIC mode and has no x2APIC's MSRs; guest 1 goes to x2APIC mode, where
 * some of them do not exit.
 */
#include "secret.h"

#define BASE_AT_START \
	(MULL_GUEST_LOCAL_APIC | APIC_BASE_BOOT_CPU | APIC_BASE_ENABLE)
#define LOGICAL_DESTINATION 0xd0 /* xAPIC: the guest's to write */
#define MSR_X2APIC_PRIORITY 0x808
#define HELD 0x1f /* a vector that CR8 holds back */

static uint64_t cr8_read(void)
{
	uint64_t value;

	asm volatile("mov %%cr8, %0" : "=r"(value));
	return value;
}

static void look(void)
{
	uint64_t base = msr_read(MSR_APIC_BASE), value;
	bool none = true;

	report(base == BASE_AT_START, "the local APIC is in xAPIC mode (%lx)",
	       base);
	report(!msr_try_read(MSR_X2APIC_PRIORITY, &value),
	       "there are no x2APIC MSRs then");
	for (uint32_t at = 0; at < 0x80; at += 0x10)
		none &= !apic_read(APIC_IN_SERVICE + at) &&
			!apic_read(APIC_REQUESTED + at);
	report(entered.cr8 == 0, "CR8 is zero");
	report(none, "no interrupt is in the local APIC");
	report(apic_read(APIC_LVT_ERROR) == APIC_LVT_MASKED &&
		       !apic_read(APIC_ERROR) &&
		       !apic_read(LOGICAL_DESTINATION),
	       "the local APIC is as at power-on");
}

static bool wants_x2apic(void)
{
	return secret_number == 1;
}

static uint32_t source(uint32_t vector)
{
	return APIC_LVT_MASKED | (vector + secret_number);
}

static void fill(void)
{
	if (wants_x2apic() && !apic_use_x2apic(true))
		report(false, "the local APIC goes to x2APIC mode");
	apic_write(APIC_LVT_LINT0, source(0x70));
	apic_write(APIC_LVT_ERROR, source(0x80));
	/* The SDK's own vectors have a higher priority. */
	asm volatile("mov %0, %%cr8" ::"r"((uint64_t)secret_number));
	/* Asked for and never taken.  Before CR8 is written, an interrupt that
	 * waits for RFLAGS.IF ends QEMU 7.2 by an assertion of its own. */
	if (wants_x2apic())
		apic_write(APIC_SELF_IPI, HELD);
	else
		apic_send(0, IPI_FIXED | IPI_ASSERT | IPI_SELF | HELD);
}

static bool mode_kept(void)
{
	uint64_t value;
	bool there = msr_try_read(MSR_X2APIC_PRIORITY, &value);

	return secret_same("that there are x2APIC MSRs", there,
			   wants_x2apic()) &
	       secret_same("APIC_BASE", msr_read(MSR_APIC_BASE),
			   BASE_AT_START |
				   (wants_x2apic() ? APIC_BASE_X2APIC : 0));
}

static bool kept(void)
{
	return mode_kept() &&
	       (secret_same("CR8", cr8_read(), secret_number) &
		secret_same("the task priority", apic_read(APIC_TASK_PRIORITY),
			    secret_number << 4) &
		secret_same("LVT LINT0", apic_read(APIC_LVT_LINT0),
			    source(0x70)) &
		secret_same("LVT error", apic_read(APIC_LVT_ERROR),
			    source(0x80)) &
		secret_same("interrupts asked for", apic_read(APIC_REQUESTED),
			    BIT(HELD)));
}

const struct secret_class class_apic = {
	.name = "local APIC", .look = look, .fill = fill, .kept = kept
};
