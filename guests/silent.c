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
#define VECTOR_END 0x62 /* only wakes the second */
#define TICKS_A_CALL 10
#define TICKS_FOR_ANSWER 10 /* the last call's */

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

static void on_end(struct interrupt_frame *frame)
{
	(void)frame;
}

static void work_second(void *period)
{
	timer_periodic((uint64_t)period);
	while (!over)
		halt_until_interrupt();
	timer_stop();
}

/* How many calls were sent; @elapsed is in nanoseconds. */
static uint64_t work_first(uint64_t period, uint64_t count, uint64_t *elapsed)
{
	uint64_t sent = 0, start = time_ns();

	timer_periodic(period);
	while (ticks[0] < count) {
		halt_until_interrupt();
		if (ticks[0] / TICKS_A_CALL == sent)
			continue;
		sent++;
		apic_send(1, IPI_FIXED | IPI_ASSERT | VECTOR_CALL);
	}
	*elapsed = time_ns() - start;
	while (answers < sent && ticks[0] < count + TICKS_FOR_ANSWER)
		halt_until_interrupt();
	timer_stop();
	return sent;
}

int guest_main(void)
{
	uint64_t seconds = option_number("seconds", 5);
	uint64_t hertz = option_number("hertz", 1000);
	uint64_t period = NS_PER_SECOND / hertz, sent, elapsed;

	report(smp_start() >= 2, "there is a second vCPU");
	interrupt_handle(VECTOR_TIMER, on_tick);
	interrupt_handle(VECTOR_CALL, on_call);
	interrupt_handle(VECTOR_ANSWER, on_answer);
	interrupt_handle(VECTOR_END, on_end);
	if (!smp_run(1, work_second, (void *)period))
		return report_done();
	print("silent: at work\n");
	sent = work_first(period, seconds * hertz, &elapsed);
	over = true;
	apic_send(1, IPI_FIXED | IPI_ASSERT | VECTOR_END);
	print("silent: done\n");
	/* The guest measures its timer's rate itself, as well as it can. */
	report(elapsed >= seconds * NS_PER_SECOND / 1000 * 999 &&
		       elapsed < seconds * NS_PER_SECOND / 1000 * 1001,
	       "%lu ticks took %lu us", seconds * hertz, elapsed / NS_PER_US);
	report(ticks[1] * 10 >= ticks[0] * 9, "the second had %lu", ticks[1]);
	report(sent && calls == sent && answers == sent,
	       "%lu calls are heard (%lu) and answered (%lu)", sent, calls,
	       answers);
	return report_done();
}
