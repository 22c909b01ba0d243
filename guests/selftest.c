/* SPDX-License-Identifier: MIT */
/*
 * Tests the platform that Mullion gives a guest.  "only=NAME" runs one part.
 * Ends with the number of failures as its exit code.
 */
#include "selftest/selftest.h"

static const struct part {
	const char *name;
	void (*run)(void);
} parts[] = {
	{ "identity", test_identity },
	{ "memory", test_memory },
	{ "registers", test_registers },
	{ "hypercalls", test_hypercalls },
	{ "tables", test_tables },
	{ "time", test_time },
	{ "apic", test_apic },
	{ "uart", test_uart },
	{ "fpu", test_fpu },
	{ "processors", test_processors },
	{ "features", test_features },
	{ "paravirtual", test_paravirtual },
};

int guest_main(void)
{
	char only[16];
	bool all = !option_text("only", only, sizeof only);

	for (size_t i = 0; i < ARRAY_COUNT(parts); i++) {
		if (all || !strcmp(only, parts[i].name))
			parts[i].run();
	}
	return report_done();
}
