/* SPDX-License-Identifier: MIT */
/*
 * Works without end and looks whether anything goes wrong meanwhile: each round
 * writes a block of memory and reads it again, the local APIC's timer ticks ten
 * times a second.  Tells every "every=N" seconds, by its own clock, how far it is
 * and how often that timer ticked; "wrong" counts what was read otherwise than
 * written, and a clock that went back.
 */
#include "sdk.h"

#define TICK_NS (100 * NS_PER_MS)
#define WORDS 32768ul

static uint64_t block[WORDS];
static volatile uint64_t ticks;

static void on_tick(struct interrupt_frame *frame)
{
	(void)frame;
	ticks++;
}

/* How many words are not what was written. */
static uint64_t work(uint64_t round)
{
	uint64_t value = round * 0x9e3779b97f4a7c15ull | 1, expected = value;
	uint64_t wrong = 0;

	for (uint64_t i = 0; i < WORDS; i++) {
		block[i] = value;
		value = value * 6364136223846793005ull + 1;
	}
	asm volatile("" : : : "memory");
	for (uint64_t i = 0; i < WORDS; i++) {
		wrong += block[i] != expected;
		expected = expected * 6364136223846793005ull + 1;
	}
	return wrong;
}

int guest_main(void)
{
	uint64_t every = option_number("every", 10) * NS_PER_SECOND;
	uint64_t start, last, round = 0, wrong = 0, told = 0;

	interrupt_handle(VECTOR_TIMER, on_tick);
	interrupts_on();
	start = last = time_ns();
	timer_periodic(TICK_NS);
	for (;;) {
		uint64_t now;

		wrong += work(round++);
		now = time_ns();
		wrong += now < last;
		last = now;
		if (now - start < (told + 1) * every)
			continue;
		told = (now - start) / every;
		print("soak: %s up %lu ticks %lu rounds %lu wrong %lu\n",
		      guest_info.name, (now - start) / NS_PER_MS, ticks, round,
		      wrong);
	}
}
