/* SPDX-License-Identifier: MIT */
/*
 * Interrupts sent to another vCPU at every moment of its way out of the guest
 * and into it again: one that is lost there never comes, since the receiver
 * then waits without an exit.  "kicks=N" says how many moments there are,
 * "x2apic=1" that both vCPUs have their local APIC in that mode.
 */
#include "sdk.h"

#define VECTOR_KICK 0x60
#define KICKS 3000
#define PATIENCE (5 * NS_PER_SECOND)

static volatile uint32_t taken, started;
static uint64_t send_ticks; /* what it takes to send one */

static void on_kick(struct interrupt_frame *frame)
{
	(void)frame;
	taken++;
}

static void spin_ticks(uint64_t ticks)
{
	uint64_t start = tsc_read();

	while (tsc_read() - start < ticks)
		;
}

static void use_mode(void)
{
	if (option_number("x2apic", 0))
		apic_use_x2apic(true);
}

/* On vCPU 1: one exit a kick, a little later each time, and then none. */
static void receive(void *kicks)
{
	uint64_t count = (uint64_t)kicks;

	use_mode();
	interrupts_on();
	for (uint64_t i = 1; i <= count; i++) {
		started = i;
		spin_ticks(2 * send_ticks * i / count);
		cpuid(0, 0);
		while (taken < i)
			; /* not even PAUSE, which may exit */
	}
	interrupts_off();
}

static bool wait_for(const volatile uint32_t *what, uint32_t value)
{
	uint64_t start = time_ns();

	while (*what < value)
		if (time_ns() - start > PATIENCE)
			return false;
	return true;
}

static void send(uint8_t vector)
{
	apic_send(1, IPI_FIXED | IPI_ASSERT | vector);
}

static uint32_t send_each(uint32_t kicks)
{
	for (uint32_t i = 1; i <= kicks; i++) {
		if (!wait_for(&started, i))
			return i - 1;
		send(VECTOR_KICK);
		if (!wait_for(&taken, i))
			return i - 1;
	}
	return kicks;
}

/* What an idle vCPU wakes up for does no harm. */
static void measure(void)
{
	uint64_t start = tsc_read();

	for (int i = 0; i < 16; i++)
		send(VECTOR_WAKE);
	send_ticks = (tsc_read() - start) / 16;
}

int guest_main(void)
{
	uint32_t kicks = option_number("kicks", KICKS);
	uint32_t arrived;

	report(smp_start() >= 2, "there is a second vCPU");
	interrupt_handle(VECTOR_KICK, on_kick);
	use_mode();
	measure();
	if (!smp_run(1, receive, (void *)(uint64_t)kicks))
		return report_done();
	arrived = send_each(kicks);
	report(arrived == kicks, "%u of %u kicks arrive", arrived, kicks);
	return report_done();
}
