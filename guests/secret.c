/* SPDX-License-Identifier: MIT */
/*
 * Whether anything of one guest is visible to another.  Looks whether each
 * kind of state is as at power-on, puts a secret there, and looks again and
 * again whether it is still its own.  Several of these share a CPU, each with
 * its "secret=N", N being 1 or 2.  Goes "rounds=N" times round; with "again=1"
 * it then resets itself, so that a later guest looks for what it has left.
 */
#include "secret/secret.h"

#define ROUNDS 8
#define COMPLAINTS_MAX 20

static const struct secret_class *const classes[] = {
	&class_registers, &class_fpu,	 &class_xcr0,	 &class_pkru,
	&class_apic,	  &class_debug,	 &class_control, &class_tables,
	&class_msrs,	  &class_hidden, &class_devices, &class_memory,
};

uint32_t secret_number;
static unsigned int complaints;
static bool lost[ARRAY_COUNT(classes)];

bool secret_same(const char *name, uint64_t value, uint64_t expected)
{
	if (value == expected)
		return true;
	if (complaints++ < COMPLAINTS_MAX)
		print("%s is %lx and not %lx\n", name, value, expected);
	return false;
}

static void look_around(void)
{
	for (size_t i = 0; i < ARRAY_COUNT(classes); i++)
		if (classes[i]->kept && !classes[i]->kept())
			lost[i] = true;
}

int guest_main(void)
{
	uint64_t rounds = option_number("rounds", ROUNDS);
	bool again = option_number("again", 0);
	int failures;

	secret_number = (uint32_t)option_number("secret", 1);
	for (size_t i = 0; i < ARRAY_COUNT(classes); i++)
		classes[i]->look();
	for (size_t i = 0; i < ARRAY_COUNT(classes); i++)
		if (classes[i]->fill)
			classes[i]->fill();
	for (uint64_t round = 0; round < rounds; round++) {
		look_around();
		sleep_ns(NS_PER_MS); /* the CPU is another guest's */
		look_around();
		spin_ns(3 * NS_PER_MS); /* and so it is, by its slot */
	}
	for (size_t i = 0; i < ARRAY_COUNT(classes); i++)
		if (classes[i]->kept)
			report(!lost[i], "%s: this guest's own, %lu times",
			       classes[i]->name, 2 * rounds);
	failures = report_done();
	if (again)
		hypercall(MULL_CALL_RESET, 0, 0);
	return failures;
}
