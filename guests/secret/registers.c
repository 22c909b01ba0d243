/* SPDX-License-Identifier: MIT */
/* General registers. */
#include "secret.h"

#define RSP 4
#define RDI 7
#define RFLAGS_AT_START 2
#define SPINS 300000 /* more than a slot */
#define HALTS 3

/* In entry.S. */
void registers_hold(uint64_t secret, uint64_t rounds, bool halting);

struct entered entered;
uint64_t registers_held[16];

static bool is_low(uint64_t address)
{
	return address && address < MIB(1);
}

/* RSP and RDI are the loader's; the others are 0, RDX as well. */
static void look(void)
{
	bool zero = true;

	for (uint32_t i = 0; i < ARRAY_COUNT(entered.gpr); i++)
		if (i != RSP && i != RDI)
			zero &= secret_same("a register", entered.gpr[i], 0);
	report(zero, "general registers are zero at the entry point");
	report(is_low(entered.gpr[RSP]) && is_low(entered.gpr[RDI]),
	       "RSP and RDI are the guest's addresses");
	report(entered.rflags == RFLAGS_AT_START,
	       "RFLAGS is as at power-on (%lx)", entered.rflags);
}

static bool held(uint64_t rounds, bool halting)
{
	uint64_t value = secret(0);
	bool same = true;

	registers_hold(value, rounds, halting);
	for (uint32_t i = 0; i < ARRAY_COUNT(registers_held); i++)
		if (i != RSP)
			same &= secret_same("a register", registers_held[i],
					    value + i);
	return same;
}

static bool kept(void)
{
	bool same = held(SPINS, false);

	timer_periodic(200 * NS_PER_US);
	same &= held(HALTS, true);
	timer_stop();
	return same;
}

const struct secret_class class_registers = { .name = "general registers",
					      .look = look,
					      .kept = kept };
