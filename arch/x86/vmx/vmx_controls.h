/* SPDX-License-Identifier: MIT */
/* What of VT-x a processor has, and what of it Mullion uses. */
#ifndef VMX_CONTROLS_H
#define VMX_CONTROLS_H

#include <mullion/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The capability MSRs; 0 where the processor has none.  The five of controls
 * are the true ones where there are such. */
struct vmx_capabilities {
	uint64_t basic, pin, processor, secondary, exit, entry;
	uint64_t misc, ept_vpid;
	uint64_t cr0_fixed0, cr0_fixed1, cr4_fixed0, cr4_fixed1;
};

struct vmx_controls {
	uint32_t pin, processor, secondary, exit, entry;
	bool large_1g;
	bool vpid;
	bool invvpid_single; /* or only the type for all contexts */
	bool invept_single;
	bool interrupts; /* x2APIC and virtual interrupts by the processor */
	bool timer; /* the preemption timer, which counts TSC >> timer_shift */
	uint8_t timer_shift;
};

/*
 * vmx_controls_choose - what every guest is entered with
 * @words: on an error, which feature is missing
 *
 * Pure.  Returns ERR_NONE or ERR_UNSUPPORTED.
 */
enum error vmx_controls_choose(const struct vmx_capabilities *have,
			       struct vmx_controls *controls,
			       const char **words);

/* Names of what is used, and of what is there beside it, for the log. */
size_t vmx_controls_describe(const struct vmx_capabilities *have,
			     const struct vmx_controls *controls, char *to,
			     size_t room);

#endif
