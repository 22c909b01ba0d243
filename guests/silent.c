/* SPDX-License-Identifier: MIT */
/*
 * Two vCPUs at their work, who need nothing of a hypervisor: each has a
 * periodic timer and rests between; by every tenth tick the first interrupts
 * the second, which answers.  "seconds=N" says for how long, "hertz=N" how
 * often.  Where local APICs are the guest's own, all of that is without an
 * exit, but one for each interrupt that is sent.
 */
#include "sdk.h"

#define VECTOR_CALL 0x60
#define VECTOR_ANSWER 0x61
#define TICKS_A_CALL 10

static volatile uint64_t ticks[2], calls, answers;
static volatile bool over;

static void on_tick(struct interrupt_frame *frame)
{
	(void)frame;
	ticks[cpu_index()]++;
}

static void on_call(struct interrupt_frame *frame)
{
	(void)frame;
	calls++;
	apic_send(0, IPI_FIXED | IPI_ASSERT | VECTOR_ANSWER);
}

static void on_answer(struct interrupt_frame *frame)
{
	(void)frame;
	answers++;
}

static void work_second(void *period)
{
	timer_periodic((uint64_t)period);
	while (!over)
		halt_until_interrupt();
	timer_stop();
}

static uint64_t work_first(uint64_t period, uint64_t count)
{
	uint64_t sent = 0;

	timer_periodic(period);
	while (ticks[0] < count) {
		halt_until_interrupt();
		if (ticks[0] / TICKS_A_CALL == sent)
			continue;
		sent++;
		apic_send(1, IPI_FIXED | IPI_ASSERT | VECTOR_CALL);
	}
	timer_stop();
	return sent;
}

int guest_main(void)
{
	uint64_t seconds = option_number("seconds", 5);
	uint64_t hertz = option_number("hertz", 1000);
	uint64_t period = NS_PER_SECOND / hertz, sent, start;

	report(smp_start() >= 2, "there is a second vCPU");
	interrupt_handle(VECTOR_TIMER, on_tick);
	interrupt_handle(VECTOR_CALL, on_call);
	interrupt_handle(VECTOR_ANSWER, on_answer);
	if (!smp_run(1, work_second, (void *)period))
		return report_done();
	print("silent: at work\n");
	start = time_ns();
	sent = work_first(period, seconds * hertz);
	spin_ns(NS_PER_MS); /* for the last answer */
	start = time_ns() - start;
	over = true;
	apic_send(1, IPI_FIXED | IPI_ASSERT | VECTOR_CALL);
	print("silent: done\n");
	report(start >= seconds * NS_PER_SECOND - period &&
		       start < seconds * NS_PER_SECOND * 11 / 10,
	       "%lu ticks took %lu us", ticks[0], start / NS_PER_US);
	report(ticks[1] * 10 >= ticks[0] * 9, "the second had %lu", ticks[1]);
	report(sent && calls == sent && answers == sent,
	       "%lu calls are heard (%lu) and answered (%lu)", sent, calls,
	       answers);
	return report_done();
}
