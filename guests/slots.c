/* SPDX-License-Identifier: MIT */
/*
 * How VMs that share a CPU take turns.  Each computes without end and leaves the
 * time in shared memory; whoever finds another's there has begun a turn.  After
 * "turns=N" it tells how long they were, how far apart they began, and what lay
 * between another's last look at the time and its own first: the switch.
 */
#include "sdk.h"

#define NAME "turns"
#define TURNS_MAX 1000

#define PEERS 64
#define NOBODY PEERS

struct looks {
	volatile uint64_t times[PEERS + 1]; /* TSC; each writes its own */
	volatile uint32_t peer;		    /* whose turn it is */
	volatile uint64_t done; /* bits of peers that have had theirs */
};

static struct looks *looks;
static uint64_t begins[TURNS_MAX + 1], lengths[TURNS_MAX], gaps[TURNS_MAX + 1];

static void sort(uint64_t *values, uint32_t count)
{
	for (uint32_t i = 1; i < count; i++) {
		uint64_t value = values[i];
		uint32_t at = i;

		for (; at && values[at - 1] > value; at--)
			values[at] = values[at - 1];
		values[at] = value;
	}
}

static void tell(const char *what, uint64_t *values, uint32_t count)
{
	sort(values, count);
	print("slots: %s %s %lu %lu %lu\n", guest_info.name, what, values[0],
	      values[count / 2], values[count - 1]);
}

static uint64_t to_ns(uint64_t ticks)
{
	return ticks * 1000000 / guest_info.tsc_khz;
}

/*
 * A turn may end anywhere, most likely between reading the clock and leaving what
 * it says: so nobody's time is overwritten by another, and it is read again when a
 * turn has begun.
 */
static void take_turns(uint32_t self, uint64_t peers, uint32_t turns)
{
	uint64_t begin, end = 0;
	uint32_t turn = 0;

	looks->peer = NOBODY;
	/* Who has had his stays until all have: the others' are as long then. */
	while (looks->done != peers) {
		uint64_t now = tsc_read();
		uint32_t peer = looks->peer;

		if (peer == self) {
			looks->times[self] = end = now;
			continue;
		}
		begin = tsc_read();
		looks->times[self] = begin;
		looks->peer = self;
		if (turn > turns)
			continue;
		gaps[turn] = begin - looks->times[peer];
		if (turn)
			lengths[turn - 1] = end - begins[turn - 1];
		begins[turn++] = end = begin;
		if (turn > turns)
			__atomic_or_fetch(&looks->done, 1ull << self,
					  __ATOMIC_SEQ_CST);
	}
}

int guest_main(void)
{
	uint32_t turns = option_number("turns", 100);
	struct shared shared;

	if (!shared_find(NAME, &shared) || turns >= TURNS_MAX)
		return 99;
	looks = shared_bytes(&shared);
	print("slots: %s begins\n", guest_info.name);
	take_turns(shared.told.self, shared.told.peers, turns + 1);
	for (uint32_t i = 0; i < turns; i++) {
		begins[i] = to_ns(begins[i + 2] - begins[i + 1]);
		lengths[i] = to_ns(lengths[i + 1]);
		gaps[i] = gaps[i + 2];
	}
	tell("lasts", lengths, turns);
	tell("every", begins, turns);
	tell("switch", gaps, turns);
	return 0;
}
