/* SPDX-License-Identifier: MIT */
/*
 * A guest that means harm.  "case=NAME" runs one case, "case=all" (or
 * nothing) all that the guest must survive, "case=list" names them.  A case
 * that must end the guest says so first and fails when it comes back.
 * "seed=N" and "rounds=N" steer the random ones.
 */
#include "hostile/hostile.h"

enum outcome {
	SURVIVES, /* the guest goes on; the case reports what it saw */
	ENDS,	  /* the hypervisor ends the guest, and nothing else */
	EITHER,	  /* one of these two */
	HANGS,	  /* the guest goes on for ever; others must not notice */
};

static const char *const outcome_words[] = {
	[SURVIVES] = "survives",
	[ENDS] = "ends",
	[EITHER] = "either",
	[HANGS] = "hangs",
};

static const struct hostile_case {
	const char *name;
	void (*run)(void);
	enum outcome outcome;
} cases[] = {
	{ "mmio-wild", mmio_wild, SURVIVES },
	{ "mmio-crossing", mmio_crossing, SURVIVES },
	{ "mmio-string", mmio_string, SURVIVES },
	{ "mmio-operations", mmio_operations, SURVIVES },
	{ "mmio-random", mmio_random, SURVIVES },
	{ "mmio-changing-code", mmio_changing_code, SURVIVES },
	{ "port-sweep", port_sweep, SURVIVES },
	{ "port-string", port_string, SURVIVES },
	{ "port-flood", port_flood, SURVIVES },
	{ "msr-read-sweep", msr_read_sweep, SURVIVES },
	{ "msr-write-sweep", msr_write_sweep, SURVIVES },
	{ "msr-canonical", msr_canonical, SURVIVES },
	{ "cpuid-sweep", cpuid_sweep, SURVIVES },
	{ "control-registers", control_registers, SURVIVES },
	{ "privileged", privileged_instructions, SURVIVES },
	{ "caches", cache_instructions, SURVIVES },
	{ "single-step", single_step, SURVIVES },
	{ "last-canonical", last_canonical, SURVIVES },
	{ "hypercall-flood", hypercall_flood, SURVIVES },
	{ "clock-wild", clock_wild, SURVIVES },
	{ "apic-sweep", apic_sweep, SURVIVES },
	{ "apic-commands", apic_commands, SURVIVES },
	{ "io-apic-sweep", io_apic_sweep, SURVIVES },
	{ "io-apic-level", io_apic_level, SURVIVES },
	{ "timer-extremes", timer_extremes, SURVIVES },
	{ "ipi-storm", ipi_storm, SURVIVES },
	{ "init-storm", init_storm, SURVIVES },
	{ "leave-pae", leave_pae, EITHER },
	{ "cr0-high", cr0_high, EITHER },
	{ "cr0-cache", cr0_cache, EITHER },
	{ "cr0-protection", cr0_protection, EITHER },
	{ "mmio-odd", mmio_odd, EITHER },
	{ "stack-in-mmio", stack_in_mmio, EITHER },
	{ "gdt-in-mmio", gdt_in_mmio, EITHER },
	{ "init-itself", init_itself, EITHER },
	{ "code-in-mmio", code_in_mmio, ENDS },
	{ "code-in-apic", code_in_apic, ENDS },
	{ "code-in-hole", code_in_hole, ENDS },
	{ "tables-in-mmio", tables_in_mmio, ENDS },
	{ "tables-in-hole", tables_in_hole, ENDS },
	{ "walk-in-mmio", walk_in_mmio, ENDS },
	{ "idt-in-mmio", idt_in_mmio, ENDS },
	{ "triple-fault", triple_fault, ENDS },
	{ "halt-forever", halt_forever, ENDS },
	{ "power-off", power_off, ENDS },
	{ "reset", reset, ENDS },
	{ "spin", spin, HANGS },
};

uint64_t hostile_random(void)
{
	static uint64_t state;

	if (!state)
		state = option_number("seed", 1) * 0x9e3779b97f4a7c15 | 1;
	state ^= state >> 12; /* Vigna's xorshift64* */
	state ^= state << 25;
	state ^= state >> 27;
	return state * 0x2545f4914f6cdd1d;
}

static void run(const struct hostile_case *one)
{
	print("CASE %s %s\n", one->name, outcome_words[one->outcome]);
	one->run();
	if (one->outcome == ENDS)
		report(false, "%s ends the guest", one->name);
	else if (one->outcome == EITHER)
		report(true, "%s is survived", one->name);
}

int guest_main(void)
{
	char name[32];
	unsigned int found = 0;

	if (!option_text("case", name, sizeof name))
		memcpy(name, "all", 4);
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		if (!strcmp(name, "list"))
			print("CASE %s %s\n", cases[i].name,
			      outcome_words[cases[i].outcome]);
		else if (!strcmp(name, cases[i].name) ||
			 (!strcmp(name, "all") && cases[i].outcome == SURVIVES))
			run(&cases[i]);
		else
			continue;
		found++;
	}
	report(found, "there is a case %s", name);
	return report_done();
}
